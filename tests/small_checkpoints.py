"""Small checkpoints in the files of the real ones, so that the real loading and calling code runs on them.

Knows: which files openai/whisper-base(.en), microsoft/speecht5_tts, microsoft/speecht5_hifigan, facebook/mms-tts-*,
facebook/m2m100_418M and regisss/cmu-arctic-xvectors hold on the Hub, their special tokens and the limits that matter (600 text
positions, 512-float x-vectors). The weights are random: what such a checkpoint says means nothing, that it says it does.
"""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import sentencepiece
import soundfile
import torch
from tokenizers import AddedToken
from transformers import (
    GenerationConfig,
    M2M100Config,
    M2M100ForConditionalGeneration,
    M2M100Tokenizer,
    SpeechT5Config,
    SpeechT5FeatureExtractor,
    SpeechT5ForTextToSpeech,
    SpeechT5HifiGan,
    SpeechT5HifiGanConfig,
    SpeechT5Processor,
    SpeechT5Tokenizer,
    VitsConfig,
    VitsModel,
    VitsTokenizer,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperTokenizer,
)
from transformers.models.whisper.configuration_whisper import NON_SPEECH_TOKENS

import checkpoints
import embedded

X_VECTOR_ROWS = 7931  # recordings in the real table; the course's speaker is row 7306
SENTENCES = (  # what the character model learns its alphabet from
    "The quick brown fox jumps over the lazy dog, doesn't it?",
    "Sphinx of black quartz: judge my vow; pack my box with five dozen jugs!",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ, 'quoted' and half-spoken.",
)
# A tiny Whisper hears the same 30 s of 80 mel bands and has the same 448 positions to answer in.
_TINY = {
    "d_model": 32,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
}


def save_whisper(folder: Path, dtype: torch.dtype = torch.float32) -> Path:
    """A multilingual Whisper: 51865 tokens, 99 languages, laid out as openai/whisper-base."""
    tokenizer_json = json.loads(embedded.read_file(*embedded.TOKENIZER))
    tokenizer = embedded.whisper_tokenizer(tokenizer_json)
    generation_config = embedded.whisper_generation_config(tokenizer)
    generation_config.alignment_heads = [[0, 0], [0, 1]]
    return _save_whisper(folder, tokenizer, generation_config, dtype)


def save_english_whisper(folder: Path, dtype: torch.dtype = torch.float32) -> Path:
    """An English-only Whisper: 51864 tokens, <|endoftext|> is 50256, laid out as openai/whisper-base.en.

    The real one has GPT-2's vocabulary; this one has the multilingual vocabulary's first 50256 tokens.
    """
    tokenizer_json = json.loads(embedded.read_file(*embedded.TOKENIZER))
    vocab = {token: index for token, index in tokenizer_json["model"]["vocab"].items() if index < 50256}
    vocab["<|endoftext|>"] = 50256
    merges = [tuple(merge.split(" ")) if isinstance(merge, str) else tuple(merge) for merge in tokenizer_json["model"]["merges"]]
    merges = [(left, right) for left, right in merges if left + right in vocab]
    special = [token["content"] for token in tokenizer_json["added_tokens"] if token["content"] != "<|endoftext|>"]
    tokenizer = WhisperTokenizer(vocab=vocab, merges=merges, extra_special_tokens=special)
    tokenizer.add_tokens([AddedToken(f"<|{index * 0.02:.2f}|>", normalized=False, special=False) for index in range(1501)])
    generation_config = GenerationConfig(  # https://huggingface.co/openai/whisper-base.en/blob/main/generation_config.json
        bos_token_id=50257,
        eos_token_id=50256,
        pad_token_id=50256,
        decoder_start_token_id=50257,
        prev_sot_token_id=50360,
        no_timestamps_token_id=50362,
        begin_suppress_tokens=[220, 50256],
        suppress_tokens=NON_SPEECH_TOKENS,
        is_multilingual=False,
        alignment_heads=[[0, 0], [0, 1]],
        max_initial_timestamp_index=50,
        max_length=448,
        return_timestamps=False,
    )
    return _save_whisper(folder, tokenizer, generation_config, dtype)


def _save_whisper(folder: Path, tokenizer: WhisperTokenizer, generation_config: GenerationConfig, dtype: torch.dtype) -> Path:
    torch.manual_seed(0)
    end = generation_config.eos_token_id
    config = WhisperConfig(
        vocab_size=len(tokenizer),
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        decoder_start_token_id=generation_config.decoder_start_token_id,
        **_TINY,
    )
    model = WhisperForConditionalGeneration(config)
    model.generation_config = generation_config
    model.to(dtype).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    WhisperFeatureExtractor().save_pretrained(folder)
    return folder


def save_speecht5(folder: Path, dtype: torch.dtype = torch.float32, *, as_on_the_hub: bool = True) -> Path:
    """A SpeechT5 with the real 600 text positions and a real SentencePiece character model.

    Args:
        as_on_the_hub: weights in pytorch_model.bin, as microsoft/speecht5_tts has them; else in model.safetensors.
    """
    folder.mkdir(parents=True, exist_ok=True)
    trained = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES * 4),
        model_writer=trained,
        model_type="char",
        vocab_size=100,
        hard_vocab_limit=False,
        character_coverage=1.0,
        bos_id=0,
        pad_id=1,
        eos_id=2,
        unk_id=3,
        minloglevel=2,
    )
    (folder / "spm_char.model").write_bytes(trained.getvalue())
    tokenizer = SpeechT5Tokenizer(str(folder / "spm_char.model"))
    tokenizer.add_tokens([AddedToken("<mask>", lstrip=True), AddedToken("<ctc_blank>")], special_tokens=True)
    SpeechT5Processor(SpeechT5FeatureExtractor(), tokenizer).save_pretrained(folder)
    torch.manual_seed(0)
    config = SpeechT5Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        speech_decoder_prenet_units=32,
        speech_decoder_postnet_units=32,
        speech_decoder_postnet_layers=2,
        max_text_positions=600,  # the real limit
    )
    return _save_weights(SpeechT5ForTextToSpeech(config).to(dtype), folder, as_on_the_hub)


def save_vocoder(folder: Path, dtype: torch.dtype = torch.float32, *, as_on_the_hub: bool = True) -> Path:
    """A HiFi-GAN of the real rate: 256 samples a frame, 16 kHz."""
    torch.manual_seed(0)
    config = SpeechT5HifiGanConfig(
        upsample_initial_channel=32, resblock_kernel_sizes=[3], resblock_dilation_sizes=[[1, 3, 5]], normalize_before=True
    )
    vocoder = SpeechT5HifiGan(config)
    for parameter in vocoder.parameters():
        torch.nn.init.normal_(parameter, std=0.2)  # as it is initialised, random weights come out as silence
    return _save_weights(vocoder.to(dtype), folder, as_on_the_hub)


def save_mms_voice(folder: Path, letters: str = "abcdefghijklmnopqrstuvwxyzäöüß'- ", *, is_uroman: bool = False) -> Path:
    """A VITS of the real rate, 16 kHz, with the real tokenizer: lower-case letters, a blank between any two."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "letters.json").write_text(json.dumps({letter: index for index, letter in enumerate(f"|{letters}")}), encoding="utf-8")
    tokenizer = VitsTokenizer(str(folder / "letters.json"), pad_token="|", unk_token="-", phonemize=False, is_uroman=is_uroman)
    tokenizer.save_pretrained(folder)
    (folder / "letters.json").unlink()
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "ffn_dim": 32, "flow_size": 32, "spectrogram_bins": 33, "upsample_initial_channel": 32}
    layers = {"num_hidden_layers": 1, "num_attention_heads": 2, "prior_encoder_num_flows": 2, "posterior_encoder_num_wavenet_layers": 1}
    config = VitsConfig(
        vocab_size=len(letters) + 1,
        **sizes,
        **layers,
        resblock_kernel_sizes=[3],
        resblock_dilation_sizes=[[1, 3, 5]],
        prior_encoder_num_wavenet_layers=1,
        duration_predictor_num_flows=2,
    )
    VitsModel(config).save_pretrained(folder)
    return folder


def save_text_translator(folder: Path, pairs: Sequence[tuple[str, str, str, str]]) -> Path:
    """An M2M-100 with the real tokenizer that has learnt a few sentences by heart: (language, text, language, translation)."""
    folder.mkdir(parents=True, exist_ok=True)
    texts, trained = [text for pair in pairs for text in (pair[1], pair[3])], io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts * 8), model_writer=trained, vocab_size=400, hard_vocab_limit=False, minloglevel=2
    )
    (folder / "pieces.model").write_bytes(trained.getvalue())
    pieces = sentencepiece.SentencePieceProcessor(model_proto=trained.getvalue())
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    known = [*special, *(piece for piece in map(pieces.id_to_piece, range(len(pieces))) if piece not in special)]
    (folder / "pieces.json").write_text(json.dumps({piece: index for index, piece in enumerate(known)}), encoding="utf-8")
    tokenizer = M2M100Tokenizer(str(folder / "pieces.json"), str(folder / "pieces.model"))
    torch.manual_seed(0)
    config = M2M100Config(
        vocab_size=max(tokenizer.id_to_lang_token) + 9,  # and eight words that fairseq made up
        d_model=64,
        encoder_layers=1,
        decoder_layers=1,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        dropout=0.0,
        attention_dropout=0.0,
        activation_dropout=0.0,
        encoder_layerdrop=0.0,
        decoder_layerdrop=0.0,
    )
    model = M2M100ForConditionalGeneration(config).train()
    examples = []
    for source, text, target, translation in pairs:
        tokenizer.src_lang, tokenizer.tgt_lang = source, target
        examples.append(tokenizer(text, text_target=translation, return_tensors="pt"))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(60):
        for example in examples:
            optimizer.zero_grad()
            model(**example).loss.backward()
            optimizer.step()
    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    for file in ("pieces.json", "pieces.model"):
        (folder / file).unlink()
    return folder


def _save_weights(model: SpeechT5ForTextToSpeech | SpeechT5HifiGan, folder: Path, as_on_the_hub: bool) -> Path:
    model.save_pretrained(folder)
    if as_on_the_hub:
        (folder / "model.safetensors").unlink()
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
    return folder


def x_vector(row: int) -> np.ndarray:
    """What `save_x_vectors` puts into a row: float32, (512,)."""
    return np.random.default_rng(row).standard_normal(512, np.float32)


def save_x_vectors(folder: Path, rows: int = X_VECTOR_ROWS) -> Path:
    """The x-vector table, as the dataset regisss/cmu-arctic-xvectors holds it."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    speakers = sorted(checkpoints.SPEAKERS)  # one after another, as many recordings each
    table = pa.table(
        {
            "filename": [f"cmu_us_{speakers[len(speakers) * row // rows]}_arctic-wav-arctic_{row:05d}" for row in range(rows)],
            "xvector": pa.array([x_vector(row) for row in range(rows)], pa.list_(pa.float32())),
        }
    )
    pq.write_table(table, folder / "data" / "validation-00000-of-00001.parquet")
    return folder


def save_voxpopuli(folder: Path, pcm16: np.ndarray, sampling_rate: int = 16_000) -> Path:
    """The Parquet copy of facebook/voxpopuli's Italian validation split, with one sample."""
    wav = io.BytesIO()
    soundfile.write(wav, pcm16, sampling_rate, format="WAV", subtype="PCM_16")
    audio = pa.array([{"bytes": wav.getvalue(), "path": "20100119.wav"}], pa.struct({"bytes": pa.binary(), "path": pa.string()}))
    text = {name: ["Grazie."] for name in ("raw_text", "normalized_text")}
    speaker = {"gender": ["female"], "speaker_id": ["None"], "is_gold_transcript": [True], "accent": ["None"]}
    table = pa.table({"audio_id": ["20100119-0900"], "language": pa.array([4], pa.int64()), "audio": audio, **text, **speaker})
    path = folder / "it" / "validation" / "0000.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return folder


def safetensors_dtypes(file: Path) -> set[str]:
    """The precisions a safetensors file holds its weights in, such as {"F16"}, read from its header."""
    content = file.read_bytes()
    (size,) = struct.unpack_from("<Q", content)
    return {entry["dtype"] for name, entry in json.loads(content[8 : 8 + size]).items() if name != "__metadata__"}
