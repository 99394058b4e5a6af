#!/usr/bin/env python3
"""The command line as users meet it, and as they break it. Argument: the program. Needs no network and no measured data."""
import csv
import io
import json
import os
import subprocess
import sys
import tempfile
import unittest

PROGRAM = ""


def orrery(*arguments, folder=None, environment=None):
    found = {key: value for key, value in os.environ.items() if key != "ORRERY_DATA"}
    found.update(environment or {})
    return subprocess.run([PROGRAM, *arguments], cwd=folder, env=found, capture_output=True, text=True, timeout=300, check=False)


class Commands(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.folder = self.temporary.name

    def tearDown(self):
        self.temporary.cleanup()

    def write(self, name, content):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        return path

    def run_in(self, *arguments, **options):
        return orrery(*arguments, folder=self.folder, **options)

    def refused(self, *arguments, says, status=2):
        """One clear line with all that `says` holds, the exit status, no answer on standard output, no new file."""
        before = sorted(os.listdir(self.folder))
        result = self.run_in(*arguments)
        self.assertEqual(result.returncode, status, result.stderr)
        for text in [says] if isinstance(says, str) else says:
            self.assertIn(text, result.stderr)
        self.assertTrue(result.stderr.startswith("orrery: "), result.stderr)
        self.assertEqual(result.stdout, "")
        self.assertFalse(set(result.stderr) & {chr(c) for c in range(32) if c != 10}, "control characters are not echoed")
        self.assertEqual(sorted(os.listdir(self.folder)), before, "nothing is written beside an error")
        return result

    # --- words

    def test_mistyped_words_are_answered_with_the_nearest(self):
        self.refused("predct", "latency", says="'predict'")
        self.refused("predict", "latncy", says="'latency'")
        self.refused("predict", "latency", "llama-3.1-8b", "--device", "h1000", says=["h1000", "h100"])
        self.refused("predict", "latency", "llama-3.1-8bb", "--device", "l40s", says="llama-3.1-8b")
        self.refused("validate", "latency", "--only", "sped", says="'speed'")

    def test_a_verb_alone_prints_its_help_and_every_command_has_an_example(self):
        self.assertEqual(self.run_in().returncode, 0)
        listing = self.run_in("--help").stdout
        for noun in ("predict", "show", "fit", "validate"):
            self.assertIn(noun, listing)
        self.assertIn("orrery predict latency", self.run_in("predict", "latency", "--help").stdout)

    def test_hostile_names_are_shown_harmless_and_open_nothing(self):
        for name in ("\x1b[31mred\x1b[0m", "a" * 5000, "../../../../etc/passwd", "nul\tl\nx", "💥", "-"):
            with self.subTest(name=name[:20]):
                result = self.run_in("predict", "latency", name, "--device", "l40s")
                self.assertEqual(result.returncode, 2, result.stderr)
                self.assertNotIn("\x1b", result.stderr)
                self.assertLess(len(result.stderr), 3000)
        self.assertEqual(self.run_in("predict", "latency", "llama-3.1-8b", "--device", "\x1b[2J").returncode, 2)

    # --- numbers

    def test_sizes_that_make_no_sense_are_refused(self):
        model = ("predict", "latency", "llama-3.1-8b", "--device", "l40s")
        self.refused(*model, "--prompt", "-5", says="--prompt")
        self.refused(*model, "--prompt", "0", says="--prompt")
        self.refused(*model, "--batch", "99999999999999999999", says="--batch")
        self.refused(*model, "--batch", "many", says="--batch")
        self.refused(*model, "--mode", "guess", says="--mode")
        self.refused(*model, "--tensor-parallel", "0", says="--tensor-parallel")
        self.refused(*model, "--tensor-parallel", "7", says="7")

    def test_iterations_over_many_devices_show_stages_links_and_a_timeline(self):
        spread = ("predict", "latency", "gpt2-large", "--mode", "train", "--data-parallel", "2", "--pipeline-parallel", "4",
                  "--micro-batches", "4", "--batch", "16", "--sequence", "1024", "--device", "h100-sxm5-80gb")
        text = self.run_in(*spread).stdout
        for word in ("Stages, 4 micro-batches of 2, 1f1b", "bubble", "between stages", "gradients", "8 x H100"):
            self.assertIn(word, text)
        answer = json.loads(self.run_in(*spread, "--json", "--pipeline-schedule", "gpipe").stdout)["devices"][0]["iteration"]
        self.assertEqual((answer["devices"], answer["pipeline_schedule"], len(answer["stages"])), (8, "gpipe", 4))
        self.assertEqual(answer["stages"][0]["kept_micro_batches"], 4)
        self.assertEqual(self.run_in(*spread, "--output", "spread").returncode, 0)
        with open(os.path.join(self.folder, "spread", "timeline.json"), encoding="utf-8") as file:
            names = {event["name"] for event in json.load(file)["traceEvents"]}
        self.assertTrue({"forward 0", "backward 3", "gradient all-reduce", "optimizer"} <= names)
        model = ("predict", "latency", "gpt2-large", "--device", "l40s")
        self.refused(*model, "--data-parallel", "2", says="--mode train")
        self.refused(*model, "--mode", "train", "--data-parallel", "4", "--batch", "6", says="multiple of 4")
        self.refused(*model, "--mode", "train", "--pipeline-parallel", "37", says="36 at most")
        self.refused(*model, "--mode", "train", "--pipeline-schedule", "chimera", says="1f1b")
        self.refused("predict", "latency", "gpt2-large", "--mode", "train", "--cluster", "dgx-h100", "--data-parallel", "9",
                     says="dgx-h100 has 8")

    # --- files

    def test_a_bad_row_is_named_by_file_line_and_column(self):
        self.write("bad.csv", "gpu,dtype,m,n,k\nL40S,bfloat16,16,1024,1024\nL40S,bfloat16,16,x,1024\n")
        self.refused("predict", "latency", "--kernels", "bad.csv", "--output", "out.csv", says=["bad.csv:3:18", "'x'"])
        self.write("short.csv", "gpu,dtype,m,n,k\nL40S,bfloat16,16\n")
        self.refused("predict", "latency", "--kernels", "short.csv", says="short.csv:2")
        self.write("negative.csv", "gpu,dtype,m,n,k\nL40S,bfloat16,-1,64,64\n")
        self.refused("predict", "latency", "--kernels", "negative.csv", says="negative.csv:2:15")
        self.write("gpu.csv", "gpu,dtype,m,n,k\nL40X,bfloat16,1,64,64\n")
        self.refused("predict", "latency", "--kernels", "gpu.csv", says=["gpu.csv:2:1", "L40X"])
        self.write("empty.csv", "")
        self.refused("predict", "latency", "--kernels", "empty.csv", says="empty.csv")
        self.refused("predict", "latency", "--kernels", "absent.csv", says="absent.csv")

    def test_an_earlier_output_survives_a_failed_run(self):
        kept = self.write("out.csv", "kept\n")
        self.write("bad.csv", "gpu,dtype,m,n,k\nL40S,bfloat16,16,x,1024\n")
        self.refused("predict", "latency", "--kernels", "bad.csv", "--output", "out.csv", says="bad.csv:2")
        with open(kept, encoding="utf-8") as file:
            self.assertEqual(file.read(), "kept\n")

    def test_kernels_come_back_in_order_with_unknown_columns(self):
        rows = [["L40S", "bfloat16", str(m), "4096", "1024", f"note {m}, \"quoted\""] for m in (512, 1, 64, 512, 7)]
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([["gpu", "dtype", "m", "n", "k", "remark"], *rows])
        self.write("rows.csv", text.getvalue())
        result = self.run_in("predict", "latency", "--kernels", "rows.csv", "--output", "out.csv")
        self.assertEqual(result.returncode, 0, result.stderr)
        with open(os.path.join(self.folder, "out.csv"), encoding="utf-8", newline="") as file:
            answers = list(csv.DictReader(file))
        self.assertEqual([list(row.values())[:6] for row in answers], rows)
        for row in answers:
            low, value, high = (float(row[name]) for name in ("low_ms", "latency_ms", "high_ms"))
            self.assertTrue(0 < low < value < high)
        self.assertEqual(answers[0]["latency_ms"], answers[3]["latency_ms"])
        piped = self.run_in("predict", "latency", "--kernels", "rows.csv")
        with open(os.path.join(self.folder, "out.csv"), encoding="utf-8", newline="") as file:
            self.assertEqual(piped.stdout, file.read())

    def test_runs_are_priced_in_order(self):
        self.write("runs.csv", "gpu,model,mode,seq,batch,who\nh100-sxm,gpt2-large,inference,1024,4,a\nl40s,gpt2-large,train,512,2,b\n")
        result = self.run_in("predict", "latency", "--runs", "runs.csv")
        self.assertEqual(result.returncode, 0, result.stderr)
        answers = list(csv.DictReader(io.StringIO(result.stdout)))
        self.assertEqual([row["who"] for row in answers], ["a", "b"])
        self.assertTrue(all(float(row["latency_ms"]) > 0 for row in answers))
        self.write("bad.csv", "gpu,model,mode,seq,batch\nh100-sxm,gpt2-large,inference,1024,0\n")
        self.refused("predict", "latency", "--runs", "bad.csv", says="bad.csv:2:")

    def test_a_gpu_file_with_a_wrong_unit_is_named_by_its_place(self):
        self.write("gpu.yaml", "name: mine\nvendor: NVIDIA\narchitecture: Ada\nmemory: 24 furlongs\n")
        self.refused("predict", "latency", "llama-3.1-8b", "--device", "./gpu.yaml", says=["gpu.yaml:4:9", "furlongs"])
        self.write("broken.yaml", "name: [unclosed\n")
        self.refused("predict", "latency", "llama-3.1-8b", "--device", "./broken.yaml", says="broken.yaml:")

    def test_a_config_without_a_field_an_unknown_family_and_an_absurd_size_are_said(self):
        whole = {"model_type": "llama", "hidden_size": 512, "num_hidden_layers": 2, "num_attention_heads": 8,
                 "intermediate_size": 1024, "vocab_size": 1000, "torch_dtype": "bfloat16"}
        self.write("whole/config.json", json.dumps(whole))
        self.assertEqual(self.run_in("predict", "latency", "whole", "--device", "l40s").returncode, 0)
        for field, value, says in (("num_hidden_layers", None, "num_hidden_layers"), ("hidden_size", -512, "hidden_size"),
                                   ("num_attention_heads", 7, "num_attention_heads"), ("model_type", "no_such_family", "no_such_family"),
                                   ("intermediate_size", 10**18, "intermediate_size")):
            with self.subTest(field=field):
                broken = {key: item for key, item in whole.items() if key != field}
                if value is not None:
                    broken[field] = value
                self.write("config.json", json.dumps(broken, indent=1))
                self.refused("predict", "latency", "./config.json", "--device", "l40s", says=["config.json:", says])
        self.write("config.json", json.dumps(whole)[:60])
        self.refused("predict", "latency", "./config.json", "--device", "l40s", says="config.json:1:")

    def test_a_truncated_onnx_file_is_refused(self):
        for content in (b"", b"\x08\x07", bytes(range(256)) * 4, b"\xff" * 4096):
            self.write("cut.onnx", content)
            self.refused("predict", "latency", "./cut.onnx", "--device", "l40s", says="cut.onnx")

    # --- answers

    def test_a_model_that_does_not_fit_is_an_answer_unless_fit_is_required(self):
        asked = ("predict", "latency", "gpt3-175b", "--device", "l40s")
        free, required = self.run_in(*asked), self.run_in(*asked, "--require-fit")
        self.assertEqual((free.returncode, required.returncode), (0, 1))
        self.assertIn("does not fit", free.stdout)
        self.assertEqual(self.run_in("predict", "latency", "gpt2", "--device", "l40s", "--require-fit").returncode, 0)

    def test_json_is_one_valid_document_with_a_schema(self):
        for asked in (("predict", "latency", "llama-3.1-8b", "--device", "h200-sxm,l40s"), ("predict", "memory", "gpt2", "--device", "l40s"),
                      ("predict", "latency", "gpt2", "--device", "l40s", "--mode", "train", "--batch", "2", "--sequence", "512")):
            result = self.run_in(*asked, "--json")
            self.assertEqual(result.returncode, 0, result.stderr)
            document = json.loads(result.stdout, parse_constant=lambda name: self.fail(name + " is no JSON"))
            self.assertEqual(document["schema"], "orrery.latency/1")
        self.assertTrue(json.loads(self.run_in("show", "accelerators", "--json").stdout)["rows"])
        self.assertTrue(json.loads(self.run_in("show", "gpus", "--json").stdout)["rows"])

    def test_two_runs_differ_in_the_run_object_alone(self):
        asked = ("predict", "latency", "llama-3.1-8b", "--device", "l40s", "--json")
        one, two = (json.loads(self.run_in(*asked, "--threads", threads).stdout) for threads in ("1", "2"))
        for document in (one, two):
            document.pop("run")
            document.pop("command")
        self.assertEqual(one, two)

    def test_an_output_folder_holds_report_json_and_timeline(self):
        result = self.run_in("predict", "latency", "gpt2", "--device", "l40s", "--output", "answer")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(sorted(os.listdir(os.path.join(self.folder, "answer"))), ["report.html", "report.json", "timeline.json"])
        for name in ("report.json", "timeline.json"):
            with open(os.path.join(self.folder, "answer", name), encoding="utf-8") as file:
                json.load(file)
        self.write("taken", "a file, no folder")
        self.refused("predict", "latency", "gpt2", "--device", "l40s", "--output", "taken", says="taken")

    def test_validation_without_data_says_what_to_set(self):
        self.refused("validate", "latency", "--only", "fp8", says="ORRERY_DATA", status=1)

    # --- an index of strings

    def build_index(self, keys, *options):
        self.write("keys.txt", keys)
        result = self.run_in("run", "keyindex", "build", "--keys", "keys.txt", "--index", "keys.index", *options)
        self.assertEqual(result.returncode, 0, result.stderr)

    def test_an_index_gives_line_numbers_and_keys_in_byte_order(self):
        self.build_index("pear\napple\nfig\n")
        self.write("wanted.txt", "fig\nkiwi\npear\n")
        result = self.run_in("run", "keyindex", "get", "--index", "keys.index", "--keys", "wanted.txt")
        self.assertEqual((result.returncode, result.stdout), (1, "fig\t3\nkiwi\t-\npear\t1\n"))
        self.write("wanted.txt", "apple\n")
        result = self.run_in("run", "keyindex", "get", "--index", "keys.index", "--keys", "wanted.txt")
        self.assertEqual((result.returncode, result.stdout), (0, "apple\t2\n"))
        for asked, answer in ((("--from", "b", "--count", "1"), "fig\n"), ((), "apple\nfig\npear\n"), (("--reverse", "--values"), "pear\t1\nfig\t3\napple\t2\n"),
                              (("--prefix", "p"), "pear\n"), (("--from", "q"), "")):
            result = self.run_in("run", "keyindex", "scan", "--index", "keys.index", *asked)
            self.assertEqual((result.returncode, result.stdout), (0, answer), asked)
        self.assertEqual(self.run_in("run", "keyindex", "verify", "--index", "keys.index").returncode, 0)
        self.assertIn("keys", self.run_in("run", "keyindex", "stats", "--index", "keys.index").stdout)

    def test_keys_separated_by_nul_may_hold_line_ends(self):
        self.build_index(b"b\nc\0a\0", "--null", "--no-point-table")
        result = self.run_in("run", "keyindex", "scan", "--index", "keys.index", "--null")
        self.assertEqual(result.stdout, "a\0b\nc\0")

    def test_wrong_keys_and_damaged_indexes_are_refused(self):
        build = ("run", "keyindex", "build", "--index", "new.index", "--keys", "wrong.txt")
        self.refused(*build, says="wrong.txt: cannot be read")
        self.write("wrong.txt", "a\nb\na\n")
        self.refused(*build, says=["wrong.txt:3:", "twice"])
        self.refused(*build, "--sorted", says=["wrong.txt:3:", "below"])
        self.write("wrong.txt", "a\n" + "k" * 65537 + "\n")
        self.refused(*build, says=["wrong.txt:2:", "65537"])
        self.build_index("".join(f"key{i}\n" for i in range(5000)))
        self.write("wanted.txt", "key1\n")
        with open(os.path.join(self.folder, "keys.index"), "rb") as file:
            whole = file.read()
        self.write("cut.index", whole[:-100])
        self.refused("run", "keyindex", "get", "--index", "cut.index", "--keys", "wanted.txt", says=["cut.index", "cut or damaged"])
        self.write("flipped.index", whole[:20000] + bytes([whole[20000] ^ 1]) + whole[20001:])
        self.refused("run", "keyindex", "verify", "--index", "flipped.index", says=["flipped.index", "damaged"])
        self.refused("run", "keyindex", "stats", "--index", "keys.txt", says=["keys.txt", "is no snapshot"])


if __name__ == "__main__":
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
