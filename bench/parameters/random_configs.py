"""Random small configurations of every family: parameters counted by Orrery and by the transformers library.

    pip install torch transformers
    cmake --preset release -DORRERY_BENCHMARKS=ON && ninja -C build/release count_parameters
    python bench/parameters/random_configs.py [ROUNDS [SEED]]

Each configuration is written three ways, as people have them: the bare fields, all fields, and only what differs from the
library's defaults. Exits with 1 when a count differs. Not drawn: an untied T5 (the library ties it and drops a scale, the
published files of T5 1.1 hold the second matrix) and next-token layers (the library does not build them).
"""

import csv
import json
import pathlib
import random
import subprocess
import sys
import tempfile

import torch
import transformers

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "build" / "release" / "bin" / "count_parameters"
BOTH = (True, False)


class Draw:
    """Choices for one configuration; a value that is a tuple is drawn from."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def fields(self, **values):
        return {key: self.random.choice(value) if isinstance(value, tuple) else value for key, value in values.items()}

    def maybe(self, **values):
        return self.fields(**values) if self.random.random() < 0.5 else {}

    def heads(self):
        kv_heads = self.random.choice((1, 2, 4))
        heads = kv_heads * self.random.choice((1, 2, 4))
        return heads * self.random.choice((8, 16, 32)), heads, kv_heads

    def decoder(self, model_type, **values):
        hidden, heads, kv_heads = self.heads()
        return self.fields(model_type=model_type, hidden_size=hidden, num_attention_heads=heads, num_key_value_heads=kv_heads,
                           num_hidden_layers=(1, 2, 5, 6), intermediate_size=(24, 64, 104), vocab_size=(96, 200),
                           max_position_embeddings=64, pad_token_id=0, bos_token_id=1, eos_token_id=2,
                           **values) | self.maybe(tie_word_embeddings=BOTH)

    def gpt2(self, model_type, **values):
        hidden, heads, _ = self.heads()
        return self.fields(model_type=model_type, n_embd=hidden, n_head=heads, n_layer=(1, 3), n_positions=64, vocab_size=99, **values)

    def encoder(self, model_type, **values):
        hidden, heads, _ = self.heads()
        return self.fields(model_type=model_type, hidden_size=hidden, num_attention_heads=heads, num_hidden_layers=(1, 3),
                           intermediate_size=(72, 96), vocab_size=99, **values)


def draw_models(draw):
    """Pairs of the library's class and a configuration, one or more a family."""
    bias = {"attention_bias": BOTH, "mlp_bias": BOTH}
    for name, model_type in (("Llama", "llama"), ("SmolLM3", "smollm3"), ("Granite", "granite")):
        yield f"{name}ForCausalLM", draw.decoder(model_type) | draw.maybe(**bias)
    for name, model_type in (("Llama", "llama"), ("Mistral", "mistral"), ("Ministral3", "ministral3"), ("Qwen3", "qwen3"), ("Gemma", "gemma"),
                             ("Gemma2", "gemma2"), ("Gemma3", "gemma3_text")):
        yield f"{name}ForCausalLM", draw.decoder(model_type) | draw.maybe(head_dim=(16, 24, 40))
    yield "Qwen2ForCausalLM", draw.decoder("qwen2", use_sliding_window=BOTH, sliding_window=16, max_window_layers=1)
    yield "Phi3ForCausalLM", draw.decoder("phi3")
    yield "PhiForCausalLM", draw.decoder("phi") | {"tie_word_embeddings": False}
    yield "Starcoder2ForCausalLM", draw.decoder("starcoder2", use_bias=BOTH)
    yield "MixtralForCausalLM", draw.decoder("mixtral", num_local_experts=(4, 8), num_experts_per_tok=2)
    mixture = {"num_experts": (4, 8), "num_experts_per_tok": 2, "moe_intermediate_size": (16, 40), "decoder_sparse_step": (1, 2),
               "mlp_only_layers": ([], [0])}
    yield "Qwen2MoeForCausalLM", draw.decoder("qwen2_moe", shared_expert_intermediate_size=(32, 56), qkv_bias=BOTH, **mixture)
    yield "Qwen3MoeForCausalLM", draw.decoder("qwen3_moe", attention_bias=BOTH, **mixture)
    yield "GptOssForCausalLM", draw.decoder("gpt_oss", num_local_experts=4, num_experts_per_tok=2, head_dim=(16, 32))
    yield "Llama4ForCausalLM", draw.decoder("llama4_text", num_local_experts=4, num_experts_per_tok=1, intermediate_size_mlp=(48, 96),
                                            interleave_moe_layer_step=(1, 2), head_dim=16, attention_bias=BOTH)
    routed = {"n_routed_experts": 8, "num_experts_per_tok": 2, "n_shared_experts": (1, 2), "moe_intermediate_size": 16,
              "first_k_dense_replace": (0, 1), "attention_bias": BOTH}
    yield "Glm4MoeForCausalLM", draw.decoder("glm4_moe", use_qk_norm=BOTH, head_dim=(16, 24), num_nextn_predict_layers=0, **routed)
    for version in (2, 3):
        yield f"DeepseekV{version}ForCausalLM", draw.decoder(
            f"deepseek_v{version}", n_group=2, topk_group=1, q_lora_rank=(None, 24), kv_lora_rank=16, qk_rope_head_dim=8,
            qk_nope_head_dim=16, v_head_dim=(16, 24), **({"num_nextn_predict_layers": 0} if version == 3 else {}), **routed)

    yield "GPT2LMHeadModel", draw.gpt2("gpt2", n_inner=(None, 72)) | draw.maybe(tie_word_embeddings=BOTH)
    yield "GPTBigCodeForCausalLM", draw.gpt2("gpt_bigcode", multi_query=BOTH)
    yield "GPTJForCausalLM", draw.gpt2("gptj", n_inner=(None, 72), rotary_dim=4)
    hidden, heads, kv_heads = draw.heads()
    yield "GPTNeoForCausalLM", draw.fields(model_type="gpt_neo", hidden_size=hidden, num_heads=heads, num_layers=4, vocab_size=99,
                                           attention_types=[[["global", "local"], 2]], intermediate_size=(None, 40))
    yield "GPTNeoXForCausalLM", draw.encoder("gpt_neox", attention_bias=BOTH, use_parallel_residual=BOTH, tie_word_embeddings=BOTH)
    yield "OPTForCausalLM", draw.fields(model_type="opt", hidden_size=hidden, num_attention_heads=heads, num_hidden_layers=3, ffn_dim=72,
                                        vocab_size=99, max_position_embeddings=64, word_embed_proj_dim=(hidden, hidden // 2),
                                        do_layer_norm_before=BOTH, enable_bias=BOTH)
    yield "BloomForCausalLM", draw.fields(model_type="bloom", hidden_size=hidden, n_head=heads, n_layer=3, vocab_size=99)
    yield "FalconForCausalLM", draw.fields(model_type="falcon", hidden_size=hidden, num_attention_heads=heads, num_kv_heads=kv_heads,
                                           num_hidden_layers=3, vocab_size=99, new_decoder_architecture=BOTH, multi_query=BOTH,
                                           parallel_attn=BOTH, bias=BOTH, alibi=BOTH)

    for task in ("ForPreTraining", "ForMaskedLM", "Model", "ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering"):
        yield f"Bert{task}", draw.encoder("bert", type_vocab_size=(1, 2), id2label={"0": "a", "1": "b", "2": "c"})
    for task in ("ForMaskedLM", "Model"):
        yield f"Roberta{task}", draw.encoder("roberta", max_position_embeddings=66, type_vocab_size=1)
    for task in ("ForMaskedLM", "Model", "ForSequenceClassification"):
        yield f"DistilBert{task}", draw.fields(model_type="distilbert", dim=hidden, n_heads=heads, n_layers=2, hidden_dim=72, vocab_size=99)
    t5 = {"d_model": (48, 64), "d_kv": (8, 16), "num_heads": 4, "d_ff": 96, "vocab_size": 99}
    for name, model_type in (("T5", "t5"), ("MT5", "mt5")):
        yield f"{name}ForConditionalGeneration", draw.fields(model_type=model_type, num_layers=3, num_decoder_layers=(None, 2), **t5,
                                                             feed_forward_proj=("relu", "gated-gelu", "gated-silu"))
    yield "SwitchTransformersForConditionalGeneration", draw.fields(
        model_type="switch_transformers", num_layers=(4, 12), num_decoder_layers=(4, 12), num_sparse_encoder_layers=(1, 2, 4),
        num_sparse_decoder_layers=(1, 2, 4), num_experts=4, **t5)
    vision = {"hidden_size": 64, "num_attention_heads": 4, "num_hidden_layers": (1, 3), "intermediate_size": (72, 128), "image_size": 32,
              "patch_size": (8, 16)}
    for task in ("Model", "ForImageClassification"):
        yield f"ViT{task}", draw.fields(model_type="vit", num_channels=(1, 3), qkv_bias=BOTH, id2label={"0": "a", "1": "b", "2": "c"}, **vision)
    yield "CLIPModel", {"model_type": "clip", "projection_dim": 24, "vision_config": draw.fields(**vision),
                        "text_config": draw.encoder("clip_text_model", max_position_embeddings=20)}
    for outer, inner, name in (("gemma3", "gemma3_text", "Gemma3"), ("mistral3", "mistral", "Mistral3"), ("qwen3_vl", "qwen3_vl_text", "Qwen3VL")):
        text = draw.decoder(inner, head_dim=16)
        sight = {"hidden_size": 64, "num_heads": 4, "depth": 1, "intermediate_size": 88, "patch_size": 16, "deepstack_visual_indexes": [0],
                 "out_hidden_size": text["hidden_size"]} if outer == "qwen3_vl" else draw.fields(**vision)
        sight |= {"model_type": "pixtral"} if outer == "mistral3" else {}
        yield f"{name}ForConditionalGeneration", {"model_type": outer, "text_config": text, "vision_config": sight} | draw.fields(tie_word_embeddings=BOTH)


def language_parameters(name, config):
    """All parameters, shared ones once, without the towers that Orrery says it does not price; routing biases are buffers."""
    with torch.device("meta"):
        model = getattr(transformers, name)(config)
    model.tie_weights()
    unpriced = () if config.model_type == "clip" else ("vision_tower", "visual.", "multi_modal_projector")
    total = sum(p.numel() for key, p in model.named_parameters() if not any(part in key for part in unpriced))
    return total + sum(b.numel() for key, b in model.named_buffers() if key.endswith("e_score_correction_bias"))


def main():
    rounds, seed = (int(a) for a in (sys.argv[1:] + ["3", "1"][len(sys.argv) - 1:]))
    transformers.logging.set_verbosity_error()
    draw = Draw(seed)
    expected = {}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            for name, values in draw_models(draw):
                values["architectures"] = [name]
                config = transformers.AutoConfig.for_model(**json.loads(json.dumps(values)))
                total = language_parameters(name, config)
                texts = (json.dumps(values), config.to_json_string(use_diff=False), config.to_json_string(use_diff=True))
                for text in texts:
                    path = pathlib.Path(folder) / f"{len(expected)}.json"
                    path.write_text(text)
                    expected[str(path)] = (total, values)
        output = subprocess.run([PROGRAM, *expected], capture_output=True, text=True, check=True).stdout
    differing = 0
    for row in csv.DictReader(output.splitlines()):
        total, values = expected[row["model"]]
        if int(row["parameters"]) != total:
            differing += 1
            print(f"orrery {row['parameters']}, transformers {total}: {json.dumps(values)}")
    print(f"{len(expected)} files of {len(expected) // 3} models, {differing} differ")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
