#!/usr/bin/env python3
"""The command line as users meet it, and as they break it. Argument: the program. Needs no network and no measured data."""
import csv
import io
import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import zipfile

PROGRAM = ""


def orrery(*arguments, folder=None, environment=None):
    found = {key: value for key, value in os.environ.items() if key != "ORRERY_DATA"}
    found.update(environment or {})
    return subprocess.run([PROGRAM, *arguments], cwd=folder, env=found, capture_output=True, text=True, timeout=300, check=False)


def schema_errors(schema, value, at=""):
    """What of `value` is not as the schema says: the part of JSON Schema that docs/schema uses."""
    kinds = {"number": (int, float), "integer": int, "string": str, "boolean": bool, "array": list, "object": dict, "null": type(None)}
    wanted = schema.get("type")
    wanted = [wanted] if isinstance(wanted, str) else wanted
    if wanted and not any(isinstance(value, kinds[kind]) and (kind == "boolean") == isinstance(value, bool) for kind in wanted):
        yield f"{at}: {value!r} is no {wanted}"
        return
    if "const" in schema and value != schema["const"]:
        yield f"{at}: {value!r} is not {schema['const']!r}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{at}: {value!r} is none of {schema['enum']}"
    if "minimum" in schema and value < schema["minimum"]:
        yield f"{at}: {value} is below {schema['minimum']}"
    if isinstance(value, dict):
        yield from (f"{at}: misses {name}" for name in schema.get("required", []) if name not in value)
        for name, child in schema.get("properties", {}).items():
            if name in value:
                yield from schema_errors(child, value[name], f"{at}/{name}")
    if isinstance(value, list) and "items" in schema:
        for i, item in enumerate(value):
            yield from schema_errors(schema["items"], item, f"{at}/{i}")


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
        for word in ("Stages on ", "4 micro-batches of 2, 1f1b", "bubble", "between stages", "gradients", "8 x H100"):
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

    # --- accelerators

    TINY = "network: tiny\ninput: {channels: 3, height: 32, width: 32}\nlayers:\n  - {conv: 16, kernel: 3, stride: 2, activation: relu}\n" \
           "  - {bottleneck: 32, width: 16, count: 2}\n  - {pool: average}\n  - {linear: 10}\n"

    def plan_accelerator(self, *more, status=0):
        self.write("tiny.yaml", self.TINY)
        result = self.run_in("plan", "accelerator", "--workload", "tiny.yaml", "--batch", "8", "--output", "found", "--json", *more)
        self.assertEqual(result.returncode, status, result.stderr)
        return json.loads(result.stdout)

    def test_an_accelerator_plan_holds_what_the_schema_asks_and_check_finds_all_true(self):
        with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../docs/schema/accelerator-plan-1.json"), encoding="utf-8") as file:
            schema = json.load(file)
        for search in ("exact", "pruner", "random"):
            with self.subTest(search=search):
                document = self.plan_accelerator("--search", search, "--evaluations", "20", "--no-sensitivity")
                self.assertEqual(list(schema_errors(schema, document)), [])
                with open(os.path.join(self.folder, "found/plan.json"), encoding="utf-8") as file:
                    self.assertEqual(json.load(file), document)
                result = self.run_in("check", "found/plan.json")
                self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        with open(os.path.join(self.folder, "found/designs.csv"), encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual(len(rows), document["work"]["evaluations"])
        with open(os.path.join(self.folder, "found/timeline.json"), encoding="utf-8") as file:
            self.assertTrue(json.load(file))

    def test_the_found_accelerator_is_a_platform_and_an_export(self):
        document = self.plan_accelerator("--no-sensitivity")
        best = document["best"]["point"]
        result = self.run_in("predict", "latency", "tiny.yaml", "--batch", "8", "--device", "found/accelerator.yaml", "--json")
        self.assertEqual(result.returncode, 0, result.stderr)
        with open(os.path.join(self.folder, "found/scalesim.cfg"), encoding="utf-8") as file:
            text = file.read()
        self.assertIn(f"ArrayHeight: {best['rows']}\nArrayWidth: {best['columns']}\n", text)
        layers = self.run_in("predict", "latency", "found/scalesim-topology.csv", "--device", "found/accelerator.yaml", "--array", "scalesim", "--json")
        self.assertEqual(layers.returncode, 0, layers.stderr)

    def test_an_accelerator_plan_that_lies_fails_its_check(self):
        document = self.plan_accelerator("--no-sensitivity")
        best, load = document["best"], document["workloads"][0]["name"]
        shared = {**best["workloads"][0], "shared_dram_makespan_s": best["workloads"][0]["makespan_s"] * 1.5}
        for name, change in (("thermal design power, W", {"best": {**best, "tdp_W": best["tdp_W"] * .99}}),
                             ("area of the cores, mm2", {"best": {**best, "core_area_mm2": best["core_area_mm2"] + 1e-3}}),
                             (f"{load}: makespan with DRAM shared, s", {"best": {**best, "workloads": [shared]}}),
                             (f"reference, {load}: makespan with DRAM shared, s", {"reference": {**document["reference"], "workloads": [shared]}}),
                             ("no design of the grid is better", {"best": document["top"][-1]})):
            with self.subTest(name=name):
                result = self.run_in("check", self.write("false.json", json.dumps({**document, **change})), "--json")
                self.assertEqual(result.returncode, 1, result.stderr)
                self.assertIn(name, [claim["claim"] for claim in json.loads(result.stdout)["claims"] if claim["verdict"] == "FAILS"])
        early = json.loads(json.dumps(document))
        early["schedules"][0]["operators"][-1]["start_s"] = 0
        result = self.run_in("check", self.write("false.json", json.dumps(early)))
        self.assertEqual(result.returncode, 1, result.stdout)

    def test_an_accelerator_plan_is_the_same_on_one_and_on_two_threads(self):
        for search in ("exact", "exhaustive", "pruner", "random", "bayesian", "genetic"):
            with self.subTest(search=search):
                flags = ("--search", search, "--evaluations", "50", "--objective", "edp", "--no-sensitivity")
                one, two = (self.plan_accelerator("--threads", threads, *flags) for threads in ("1", "2"))
                for answer in (one, two):
                    del answer["run"], answer["command"]
                self.assertEqual(one, two)

    def test_wrong_accelerator_studies_are_refused_with_their_place(self):
        plan = ("plan", "accelerator")
        self.write("tiny.yaml", self.TINY)
        load = "workloads: [{model: tiny.yaml, batch: 8}]\n"
        self.refused(*plan, says="STUDY.yaml")
        self.refused(*plan, self.write("a.yaml", load + "limits: {area: 200}\n"), says=["a.yaml:2:16", "mm2"])
        self.refused(*plan, self.write("b.yaml", load + "objectiv: edp\n"), says=["b.yaml:2:", "objective"])
        self.refused(*plan, self.write("c.yaml", load + "objective: speed\n"), says=["c.yaml:2:12", "perf-per-tdp"])
        self.refused(*plan, self.write("d.yaml", "workloads: [{model: tiny.yaml, batch: 0}]\n"), says="d.yaml:1:39")
        self.refused(*plan, self.write("e.yaml", load + "top: 0\n"), says="e.yaml:2:6")
        self.refused(*plan, self.write("f.yaml", load + "space: {least: 32, most: 16}\n"), says="f.yaml:2:8")
        self.refused(*plan, self.write("g.yaml", "workloads: [{model: tiny.yaml, least_throughput: reference}]\nreference: none\n"), says="g.yaml:1:50")
        self.refused(*plan, "--workload", self.write("h.txt", "1 -- Frob -- output_act=[[4]]\n"), says=["h.txt:1:6", "Frob", "--unknown vc:1"])
        self.refused(*plan, "--workload", self.write("i.txt", "1 -- Relu -- output_act=[[4]]\n2 -- Relu -- output_act=[[4]]\n\t1 -- 2\n\t2 -- 1\n"), says=["i.txt:", "cycle"])
        self.refused(*plan, "--workload", self.write("j.txt", "1 -- Relu -- output_act=[[4]]\n\t1 -- 7\n"), says="j.txt:2:7")
        self.refused(*plan, "--workload", self.write("k.txt", "1 -- Relu -- output_act=[[4,0]]\n"), says="k.txt:1:25")
        self.refused(*plan, "--workload", self.write("l.txt", "1 -- Relu -- output_act=[[n,4]]\n"), says="l.txt:1:25")
        self.refused(*plan, "--workload", "tiny.yaml", "--base", "h100-sxm", says="no accelerator")
        self.refused(*plan, "--workload", "tiny.yaml", "--area", "12 kg", says="--area")

    def test_an_accelerator_that_cannot_be_names_what_is_missing(self):
        self.write("tiny.yaml", self.TINY)
        plan = ("plan", "accelerator", "--workload", "tiny.yaml", "--batch", "8")
        self.refused(*plan, "--area", "20mm2", "--output", "none", says=["no feasible design", "the global buffer", "46.98 mm2 (--area)"])
        self.refused(*plan, "--power", "40W", says=["no feasible design", "uncore", "158.8 W (--power)"])
        load = "workloads: [{model: tiny.yaml, batch: 8}]\n"
        self.refused("plan", "accelerator", self.write("a.yaml", load + "limits: {area: 20 mm2, power: 280 W}\n"), says="a.yaml:2:16: no feasible")
        self.refused("plan", "accelerator", self.write("b.yaml", load + "limits: {area: 90 mm2, power: 40 W}\n"), says="b.yaml:2:31: no feasible")
        document = self.plan_accelerator("--least-throughput", "1e12", status=1)
        self.assertEqual((document["best"], document["stop"], document["verdict"]), (None, "infeasible", "no feasible design"))
        missing, = document["shortfalls"]
        self.assertEqual((missing["constraint"], missing["needed"]), ("throughput", 1e12))
        self.assertEqual(self.run_in("check", "found/plan.json").returncode, 0)
        relaxed = self.plan_accelerator("--least-throughput", str(missing["available"] * (1 - 1e-9)), "--no-sensitivity")
        self.assertGreaterEqual(relaxed["best"]["workloads"][0]["throughput_per_s"], missing["available"] * (1 - 1e-9))

    def designs_of(self, folder):
        with open(os.path.join(self.folder, folder, "designs.csv"), encoding="utf-8") as file:
            rows = list(csv.reader(file))
        self.assertEqual({len(row) for row in rows}, {len(rows[0])}, "every row is whole")
        return len(rows) - 1

    def test_a_search_out_of_time_says_its_best_with_a_bound(self):
        for search in ("exact", "exhaustive", "pruner", "random", "bayesian", "genetic"):
            with self.subTest(search=search):
                document = self.plan_accelerator("--search", search, "--evaluations", "1000000", "--time", "1e-9")
                self.assertEqual(document["stop"], "time limit")
                self.assertGreaterEqual(document["bound"], document["objective"])
                self.assertGreaterEqual(self.designs_of("found"), 1)
        checked = self.run_in("check", "found/plan.json")
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)

    def test_an_interrupted_search_says_its_best_with_a_bound_and_all_that_it_tried(self):
        self.write("tiny.yaml", self.TINY)
        command = [PROGRAM, "plan", "accelerator", "--workload", "bert-large", "--area", "900mm2", "--power", "2kW", "--grid", "step-16",
                   "--search", "exhaustive", "--threads", "1", "--output", "found", "--json"]
        for wait in (1, 4, 16):  # a busy machine may not have started the program yet
            with subprocess.Popen(command, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                  preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)) as running:
                time.sleep(wait)
                running.send_signal(signal.SIGINT)
                output, errors = running.communicate(timeout=120)
            if output:
                break
        self.assertEqual(running.returncode, 130, errors)
        document = json.loads(output)
        self.assertEqual(document["stop"], "interrupted")
        self.assertGreaterEqual(document["bound"], document["objective"])
        self.assertEqual(self.designs_of("found"), document["work"]["evaluations"])
        checked = self.run_in("check", "found/plan.json")
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)

    # --- experts and the check of their plans

    ROUTING_HEAD = "problem\ttoken\tlayer\texpert_1\texpert_2\n"

    def routing(self, name="routing.tsv", tokens=64, layers=3, experts=8, change=None):
        """Tokens of two experts each, all experts used alike. `change` gets and returns the rows."""
        rows = [[t // 8, t, layer, (t + layer) % experts, (t * 3 + layer + 1) % experts] for t in range(tokens) for layer in range(layers)]
        for row in rows:
            if row[3] == row[4]:
                row[4] = (row[4] + 1) % experts
        rows = change(rows) if change else rows
        return self.write(name, self.ROUTING_HEAD + "".join("\t".join(map(str, row)) + "\n" for row in rows))

    def plan_experts(self, *more):
        result = self.run_in("plan", "experts", self.routing(), "--gpus", "4", "--output", "planned", "--json", *more)
        self.assertEqual(result.returncode, 0, result.stderr)
        return json.loads(result.stdout)

    def test_expert_plans_hold_what_the_schema_asks_and_check_finds_all_true(self):
        with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../docs/schema/experts-plan-1.json"), encoding="utf-8") as file:
            schema = json.load(file)
        for dispatch in ("home", "stay", "naive", "replicated"):
            with self.subTest(dispatch=dispatch):
                document = self.plan_experts("--dispatch", dispatch)
                self.assertEqual(list(schema_errors(schema, document)), [])
                for name in ("map", "max_over_mean_load", "balancedness", "all_to_all_bytes", "cross_gpu_fraction", "lower_bound", "gap"):
                    self.assertIn(name, document)
                self.assertIn("seconds", document["run"])
                result = self.run_in("check", "planned/plan.json")
                self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
                self.assertIn(" 0 fail, 0 not proven", result.stdout)
        self.assertTrue(list(schema_errors(schema, {**document, "map": [["x"]]})), "the validator sees a wrong type")

    def test_expert_plans_with_copies_and_several_recordings_check_too(self):
        self.plan_experts("--redundant", "4", "--profile", self.routing("other.tsv", change=lambda rows: [[*r[:3], 7 - r[3], 7 - r[4]] for r in rows]))
        self.assertEqual(self.run_in("check", "planned/plan.json").returncode, 0)

    def test_groups_of_experts_stay_whole_on_nodes_and_check_agrees(self):
        cluster = self.write("cluster.yaml", """name: 2x2
devices:
  - {device: h100-sxm5-80gb, count: 4}
levels:
  - {name: NVLink4, fanout: 2, per_device: 450 GB/s, sharing: port}
  - {name: InfiniBand NDR, fanout: 2, per_device: 50 GB/s, sharing: port}
sources: {datasheet: "as data/clusters/dgx-h100-x4.yaml"}
""")
        plan = ("plan", "experts", self.routing(), "--cluster", cluster)
        for options in (("--dispatch", "stay"), ("--dispatch", "home"), ("--redundant", "4")):
            with self.subTest(options=options):
                result = self.run_in(*plan, "--output", "planned", "--json", "--expert-groups", "4", *options)
                self.assertEqual(result.returncode, 0, result.stderr)
                document = json.loads(result.stdout)
                self.assertEqual(document["expert_groups"], 4)
                for layer in document["map"]:
                    half = len(layer) // 2
                    self.assertFalse({e // 2 for e in layer[:half]} & {e // 2 for e in layer[half:]}, layer)
                self.assertTrue(any("4 groups of 2 experts" in note for note in document["notes"]))
                result = self.run_in("check", "planned/plan.json")
                self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
                self.assertIn("groups of experts whole on nodes", result.stdout)
        document["map"][0] = document["map"][0][::2] + document["map"][0][1::2]
        self.assertEqual(self.run_in("check", self.write("cut.json", json.dumps(document))).returncode, 1)
        self.refused(*plan, "--expert-groups", "3", says="8 experts do not divide into 3 groups")
        self.refused(*plan, "--expert-groups", "1000", says="8 experts do not divide into 1000 groups")

    def test_a_load_cap_that_no_map_meets_is_told_and_check_agrees(self):
        def busy(rows):
            return [[*row[:3], 0 if row[1] % 2 else row[3], row[4] or 7] for row in rows]

        one, other = (self.routing(name, change=change) for name, change in (("busy.tsv", busy), ("other.tsv", lambda rows: rows)))
        result = self.run_in("plan", "experts", one, "--profile", other, "--gpus", "8", "--dispatch", "stay", "--output", "planned", "--json")
        self.assertEqual(result.returncode, 0, result.stderr)
        document = json.loads(result.stdout)
        self.assertGreater(document["cap_shortfall"]["reached"], document["max_load"])
        self.assertAlmostEqual(document["cap_shortfall"]["reached"], document["cap_shortfall"]["least"])
        self.assertTrue(any("smallest cap that can be met" in note for note in document["notes"]), document["notes"])
        with open(os.path.join(self.folder, "planned", "report.html"), encoding="utf-8") as file:
            self.assertIn("the load cap of 1.05 is not met", file.read())
        self.assertEqual(self.run_in("check", "planned/plan.json").returncode, 0)
        del document["cap_shortfall"]
        self.assertEqual(self.run_in("check", self.write("silent.json", json.dumps(document))).returncode, 1, "a plan may not be silent about it")

    def test_a_plan_that_lies_fails_its_check(self):
        document = self.plan_experts("--dispatch", "stay")
        for name, change in (("max/mean load", {"max_over_mean_load": document["max_over_mean_load"] + .01}),
                             ("all-to-all bytes", {"all_to_all_bytes": document["all_to_all_bytes"] - 1}),
                             ("lower bound", {"lower_bound": document["objective"] + .01}),
                             ("every expert placed", {"map": [[0] * 8] * 3})):
            with self.subTest(name=name):
                path = self.write("false.json", json.dumps({**document, **change}))
                result = self.run_in("check", path, "--json")
                self.assertEqual(result.returncode, 1, result.stderr)
                answer = json.loads(result.stdout)
                self.assertFalse(answer["holds"])
                self.assertIn(name, [claim["claim"] for claim in answer["claims"] if claim["verdict"] == "FAILS"])

    def phases(self):
        """Prefill tokens choose the lower experts, decode tokens the upper ones; steps of 32 and of 8 tokens."""
        head, rows = self.ROUTING_HEAD[:-1] + "\tstep\tphase\n", []
        for step in range(40):
            prefill = step % 2 == 0
            for t in range(32 if prefill else 8):
                for layer in range(2):
                    one = (t * 5 + step + layer) % 4 + (0 if prefill else 4)
                    rows.append((step, t, layer, one, (one + 1 + t % 7) % 8, step, "prefill" if prefill else "decode"))
        return self.write("phases.tsv", head + "".join("\t".join(map(str, row)) + "\n" for row in rows))

    def test_prefill_and_decode_are_planned_apart_and_check_knows_the_phase(self):
        with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../docs/schema/experts-plan-1.json"), encoding="utf-8") as file:
            schema = json.load(file)
        of = {}
        for phase in ("prefill", "decode", "both"):
            result = self.run_in("plan", "experts", self.phases(), "--gpus", "4", "--phase", phase, "--output", "planned", "--json")
            self.assertEqual(result.returncode, 0, result.stderr)
            of[phase] = json.loads(result.stdout)
            self.assertEqual(list(schema_errors(schema, of[phase])), [])
            self.assertEqual(of[phase]["recording"]["phase"], phase)
            result = self.run_in("check", "planned/plan.json")
            self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
            self.assertIn("in decode", result.stdout)
        tables = [document["phases"] for document in of.values()]
        self.assertTrue(tables[0] == tables[1] == tables[2], "each phase's map is the same whichever was asked for")
        load = {(row["map_for"], row["judged_on"]): row["max_over_mean_load"] for row in tables[0]}
        self.assertLess(load["decode", "decode"], load["prefill", "decode"])
        self.assertLessEqual(load["prefill", "prefill"], load["decode", "prefill"])
        false = json.loads(json.dumps(of["decode"]))
        false["phases"][2]["all_to_all_bytes"] += 1
        self.assertEqual(self.run_in("check", self.write("false.json", json.dumps(false))).returncode, 1)
        self.refused("plan", "experts", self.routing(), "--gpus", "4", "--phase", "decode", says=["routing.tsv: does not tell prefill", "per_token"])

    def test_a_plan_is_the_same_on_one_and_on_two_threads(self):
        one, two = (self.plan_experts("--threads", threads, "--dispatch", "stay") for threads in ("1", "2"))
        for answer in (one, two):
            del answer["run"], answer["command"]
        self.assertEqual(one, two)

    def test_what_check_cannot_read_is_refused(self):
        self.refused("check", "absent.json", says="absent.json")
        self.refused("check", self.write("plan.json", "{\"schema\": \"orrery.other/9\"}"), says=["plan.json:1:", "orrery.experts/1"])
        self.refused("check", self.write("list.json", "[1, 2]"), says="list.json:1:")
        self.refused("check", self.write("torn.json", "{\"schema\": "), says="torn.json:1:")
        document = self.plan_experts()
        del document["map"]
        self.refused("check", self.write("bare.json", json.dumps(document)), says=["bare.json:1:", "map"])

    def test_routing_that_cannot_be_is_refused_at_its_line(self):
        plan = ("plan", "experts")
        few = ("--gpus", "4")
        beyond = self.routing("beyond.tsv", change=lambda rows: [*rows[:5], [*rows[5][:4], 99], *rows[6:]])
        self.refused(*plan, beyond, *few, "--experts", "8", says=["beyond.tsv:7", "99"])
        twice = self.routing("twice.tsv", change=lambda rows: [*rows[:4], [*rows[4][:4], rows[4][3]], *rows[5:]])
        self.refused(*plan, twice, *few, says="twice.tsv:6")
        lacking = self.routing("lacking.tsv", change=lambda rows: [row for row in rows if row[1] % 10 or row[2]])
        self.refused(*plan, lacking, *few, says=["lacking.tsv", "layer"])
        self.refused(*plan, self.routing(), "--gpus", "3", says=["8", "3 ranks", "--redundant 1"])
        self.refused(*plan, self.routing(), says="--cluster")
        counts = "kind\tlayer_from\tlayer_to\texpert_from\texpert_to\tcount\n"
        loads = "".join(f"topk\t{layer}\t-\t{e}\t-\t40\n" for layer in (0, 1) for e in range(4))
        sums = "".join(f"topk\t0\t1\t{e}\t{e}\t{39 if e == 2 else 40}\n" for e in range(4))
        self.refused(*plan, self.write("sums.tsv", counts + loads + sums), *few, "--dispatch", "stay", says="sums.tsv")
        self.refused(*plan, self.write("loads.tsv", counts + loads), *few, says=["tokens", "--dispatch"])
        self.refused(*plan, self.write("loads.tsv", counts + loads), *few, "--dispatch", "stay", says="transitions")
        self.assertEqual(self.run_in(*plan, self.write("loads.tsv", counts + loads), *few, "--dispatch", "naive").returncode, 0)
        self.refused(*plan, self.write("empty.tsv", ""), *few, says="empty.tsv")
        self.refused(*plan, self.write("words.tsv", self.ROUTING_HEAD + "0\t0\t0\tone\t2\n"), *few, says="words.tsv:2")
        self.refused(*plan, self.write("head.tsv", "a\tb\n1\t2\n"), *few, says="head.tsv:1")
        self.refused(*plan, self.write("torn.npy", b"\x93NUMPY\x01\x00"), *few, says="torn.npy")
        self.refused(*plan, self.write("counts.json", "{\"logical_count\": [[[1, -2]]]}"), *few, says="counts.json:1:")

    def test_a_hostile_pickle_is_refused_by_the_name_of_what_it_asks_for(self):
        class Hostile:
            def __reduce__(self):
                return os.system, ("touch owned",)

        stored = io.BytesIO()
        with zipfile.ZipFile(stored, "w") as archive:
            archive.writestr("recording/data.pkl", pickle.dumps(Hostile(), protocol=2))
        self.refused("plan", "experts", self.write("hostile.pt", stored.getvalue()), "--gpus", "4", says=["hostile.pt", "system"])

    def test_what_odd_recordings_tell_stands_in_the_notes(self):
        answer = self.plan_experts()
        self.assertTrue(any("sampling noise" in note for note in answer["notes"]), answer["notes"])
        idle = self.routing("idle.tsv", tokens=2000, change=lambda rows: [[*row[:3], row[3] % 7, (row[3] + 1) % 7] for row in rows])
        result = self.run_in("plan", "experts", idle, "--experts", "8", "--gpus", "4", "--json")
        self.assertEqual(result.returncode, 0, result.stderr)
        answer = json.loads(result.stdout)
        self.assertTrue(all(7 in layer for layer in answer["map"]), "an expert that no token chose is placed")
        gaps = self.routing("gaps.tsv", change=lambda rows: [[*row[:2], row[2] * 7, *row[3:]] for row in rows])
        answer = json.loads(self.run_in("plan", "experts", gaps, "--gpus", "4", "--json").stdout)
        self.assertTrue(any("0" in note and "chain" in note for note in answer["notes"]), answer["notes"])

    def test_maps_for_engines_hold_what_sglang_takes_and_nothing_else(self):
        document = self.plan_experts()
        with open(os.path.join(self.folder, "planned", "physical_to_logical_map.json"), encoding="utf-8") as file:
            self.assertEqual(json.load(file), {"physical_to_logical_map": document["map"]})

    def test_weights_that_do_not_fit_are_an_answer(self):
        self.refused("plan", "experts", self.routing(layers=32), "--cluster", "single-h100", "--model", "mixtral-8x22b", says=["GB", "fits"], status=1)

    def test_maps_that_run_today_are_read_or_refused(self):
        document = self.plan_experts()
        today = self.write("today.json", json.dumps({"physical_to_logical_map": [list(range(8))] * 3}))
        answer = self.plan_experts("--current", today)
        self.assertEqual(answer["others"][-1]["planner"], "current")
        self.assertGreaterEqual(answer["moved_experts"], 0)
        self.assertEqual(len(document["map"]), 3)
        bad = self.write("bad.json", json.dumps([[0, 0, 1, 2, 3, 4, 5, 6]] * 3))
        self.refused("plan", "experts", self.routing(), "--gpus", "4", "--current", bad, says="bad.json:1:")


if __name__ == "__main__":
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
