#include "orrery/base/storage.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <system_error>

#include "orrery/base/error.h"

namespace orrery {
namespace {

constexpr size_t kChunk = size_t{1} << 20;

[[noreturn]] void fail(const std::string& path, const std::string& reason) {
  throw InputError(Place{path, 0, 0}, reason);
}

std::string read_raw(const std::string& path, uint64_t most) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) fail(path, std::string("cannot be read: ") + std::strerror(errno));
  if (S_ISDIR(status.st_mode)) fail(path, "is a folder; expected a file");
  std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "rb"), std::fclose);
  if (!file) fail(path, std::string("cannot be read: ") + std::strerror(errno));
  std::string content;
  if (S_ISREG(status.st_mode)) content.reserve(static_cast<size_t>(status.st_size));
  std::string chunk(kChunk, '\0');
  while (size_t got = std::fread(chunk.data(), 1, chunk.size(), file.get())) {
    content.append(chunk, 0, got);
    if (content.size() > most) fail(path, "is larger than " + std::to_string(most) + " bytes; split it");
  }
  if (std::ferror(file.get())) fail(path, "cannot be read to its end");
  return content;
}

std::string unpack_gzip(const std::string& packed, const std::string& path, uint64_t most) {
  z_stream stream{};
  if (inflateInit2(&stream, 15 + 32) != Z_OK) throw Error("zlib cannot start");
  std::unique_ptr<z_stream, int (*)(z_stream*)> guard(&stream, inflateEnd);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  std::string result, chunk(kChunk, '\0');
  int state = Z_OK;
  while (state != Z_STREAM_END) {
    stream.next_out = reinterpret_cast<Bytef*>(chunk.data());
    stream.avail_out = static_cast<uInt>(chunk.size());
    state = inflate(&stream, Z_NO_FLUSH);
    if (state != Z_OK && state != Z_STREAM_END) fail(path, "is a damaged or cut gzip file");
    result.append(chunk, 0, chunk.size() - stream.avail_out);
    if (result.size() > most) fail(path, "unpacks to more than " + std::to_string(most) + " bytes");
    if (state == Z_STREAM_END && stream.avail_in > 0) {  // a further member
      if (inflateReset(&stream) != Z_OK) fail(path, "is a damaged gzip file");
      state = Z_OK;
    }
  }
  return result;
}

std::string unpack_zstd(const std::string& packed, const std::string& path, uint64_t most) {
  std::unique_ptr<ZSTD_DStream, size_t (*)(ZSTD_DStream*)> stream(ZSTD_createDStream(), ZSTD_freeDStream);
  std::string result, chunk(kChunk, '\0');
  ZSTD_inBuffer in{packed.data(), packed.size(), 0};
  size_t state = 1;
  while (in.pos < in.size || state != 0) {
    ZSTD_outBuffer out{chunk.data(), chunk.size(), 0};
    state = ZSTD_decompressStream(stream.get(), &out, &in);
    if (ZSTD_isError(state)) fail(path, "is a damaged zstd file");
    result.append(chunk, 0, out.pos);
    if (result.size() > most) fail(path, "unpacks to more than " + std::to_string(most) + " bytes");
    if (out.pos == 0 && in.pos == in.size && state != 0) fail(path, "is a cut zstd file");
  }
  return result;
}

// The folder of this code: of the shared module that holds it (Python), else of the running program.
// Writes and closes; a failure removes `partial` where it is named.
void write_all(int descriptor, const std::string& path, const std::string& partial,
               std::string_view content) {
  if (descriptor < 0) fail(path, std::string("cannot be written: ") + std::strerror(errno));
  int failure = 0;
  for (size_t done = 0; done < content.size() && failure == 0;) {
    ssize_t wrote = write(descriptor, content.data() + done, content.size() - done);
    if (wrote >= 0)
      done += static_cast<size_t>(wrote);
    else if (errno != EINTR)
      failure = errno;
  }
  if (failure == 0 && fsync(descriptor) != 0 && errno != EINVAL && errno != ENOTSUP && errno != EROFS)
    failure = errno;  // pipes cannot be synced
  if (close(descriptor) != 0 && failure == 0) failure = errno;
  if (failure == 0) return;
  if (!partial.empty()) unlink(partial.c_str());
  fail(path, std::string("cannot be written: ") + std::strerror(failure));
}

std::string folder_of_program() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&folder_of_program), &info) != 0 && info.dli_fname) {
    std::filesystem::path module(info.dli_fname);
    if (module.extension() == ".so") return module.parent_path().string();
  }
  char buffer[4096];
  ssize_t length = readlink("/proc/self/exe", buffer, sizeof buffer);
  if (length <= 0) return {};
  return std::filesystem::path(std::string(buffer, static_cast<size_t>(length))).parent_path().string();
}

}  // namespace

std::string read_file(const std::string& path, uint64_t most) {
  std::string content = read_raw(path, most);
  if (content.size() >= 2 && content[0] == '\x1f' && content[1] == '\x8b')
    return unpack_gzip(content, path, most);
  if (content.size() >= 4 && content.compare(0, 4, "\x28\xb5\x2f\xfd") == 0)
    return unpack_zstd(content, path, most);
  return content;
}

bool file_exists(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::is_regular_file(path, ignored);
}

void write_file(const std::string& given, std::string_view content) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  std::string path = given;
  if (fs::is_symlink(path, ignored)) {  // the link stays, its target is replaced
    fs::path target = fs::canonical(path, ignored);
    if (!ignored) path = target.string();
  }
  if (fs::is_directory(path, ignored)) fail(path, "is a folder; expected a file to write");
  if (fs::exists(path, ignored) &&
      !fs::is_regular_file(path, ignored)) {  // /dev/null, a pipe: nothing to rename onto
    write_all(open(path.c_str(), O_WRONLY | O_CLOEXEC), path, "", content);
    return;
  }
  std::string partial = path + ".partial-" + std::to_string(getpid());
  write_all(open(partial.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666), path, partial, content);
  if (rename(partial.c_str(), path.c_str()) != 0) {
    std::string reason = std::strerror(errno);
    unlink(partial.c_str());
    fail(path, "cannot be written: " + reason);
  }
}

std::string data_folder() {
  std::string beside = folder_of_program();
  const char* home = std::getenv("ORRERY_HOME");
  std::string candidates[] = {home ? std::string(home) + "/data" : "", beside.empty() ? "" : beside + "/data",
                              beside.empty() ? "" : beside + "/../share/orrery", ORRERY_SOURCE_DATA};
  std::error_code ignored;
  for (const std::string& folder : candidates) {
    if (!folder.empty() && std::filesystem::is_directory(folder + "/gpus", ignored)) return folder;
  }
  throw Error(
      "the folder of facts (gpus, models, weights) is not found; set ORRERY_HOME to the folder that holds "
      "data/");
}

std::string_view version() {
  return ORRERY_VERSION;
}

uint64_t hash_bytes(std::string_view bytes, uint64_t seed) {
  uint64_t hash = 0xcbf29ce484222325ull ^ (seed * 0x9e3779b97f4a7c15ull);  // FNV-1a, then a finalizer
  for (char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  hash ^= hash >> 33;
  hash *= 0xff51afd7ed558ccdull;
  return hash ^ (hash >> 33);
}

}  // namespace orrery
