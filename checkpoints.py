"""Which weights, from where, on which device; loaded once, on first use.

Knows: the tutorials' checkpoints, the packages that carry weights inside them, the Hub and its cache.
Does not know: audio, decoding, the page. Importing this module loads no weights, no torch and touches no network.

A checkpoint is looked for in this order:

1. a local folder, where one is named;
2. the embedded packages, where they carry that very checkpoint (whisper-base);
3. the Hub's cache on this disk;
4. the Hub;
5. the nearest embedded stand-in: whisper-base for another Whisper, the embedded voice for SpeechT5.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import importlib.util
import json
import os
import re
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

import numpy as np

import embedded
from errors import CheckpointError

if TYPE_CHECKING:
    import torch
    from hibari import Hibari
    from transformers import (
        M2M100ForConditionalGeneration,
        M2M100Tokenizer,
        SpeechT5ForTextToSpeech,
        SpeechT5HifiGan,
        SpeechT5Processor,
        VitsModel,
        VitsTokenizer,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
        WhisperTokenizer,
    )

# Read when torch is first imported: for how long its threads spin while they wait for each other, before they sleep; here a tenth of
# a millisecond, which bridges the gap from one operator to the next. A tenth of that makes a decode a quarter slower on two
# idle cores; torch's default, 3 ms, several times slower where something else (a browser) wants the same cores. ACTIVE is for the time when
# more threads have computed than there are cores, other visitors' among them: else none would spin at all.
os.environ.setdefault("OMP_WAIT_POLICY", "ACTIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
# torch's blocks of 2 MB and more ask the kernel for huge pages: one where there were 512. On a virtual machine the first touch of a page
# after a second's pause took 30 µs, and all of them up to a third of a decode (scratch runs); where the kernel has huge pages for all, or
# for none, this changes nothing.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
# glibc gives a large block back at once when it is freed, but learns from each what large is, up to 32 MB; then a decode's blocks of
# ever other sizes leave holes, and memory grows by the minute. Fixed sizes keep it flat; 8 MB, because an encoder's blocks up to
# there, given back and fetched again page by page, would cost a tenth of a decode and a third of one of 30 s.
with contextlib.suppress(OSError, AttributeError):  # another C library
    _libc = ctypes.CDLL("libc.so.6")
    _libc.mallopt(-3, 1 << 23)  # M_MMAP_THRESHOLD: bytes
    _libc.mallopt(-1, 1 << 24)  # M_TRIM_THRESHOLD: bytes
    _libc.mallopt(-8, 2)  # M_ARENA_MAX: each thread's own would keep what a visitor's blocks left in it

TAKE_EMBEDDED = f"take what is embedded: {embedded.INSTALL}"
CHOOSE_EMBEDDED = "choose the embedded voice."

# The revisions at which the tutorials' checkpoints were looked at; any other checkpoint is taken at its newest.
PINNED_REVISIONS = {
    "openai/whisper-base": "e37978b90ca9030d5170a5c07aadb050351a65bb",
    "openai/whisper-base.en": "911407f4214e0e1d82085af863093ec0b66f9cd6",
    "microsoft/speecht5_tts": "30fcde30f19b87502b8435427b5f5068e401d5f6",
    "microsoft/speecht5_hifigan": "bb6f429406e86a9992357a972c0698b22043307d",
    "facebook/m2m100_418M": "17ef199e3a3479ca5d572350066761c5e926ac03",  # the one with safetensors
}
# The files that are read; a repository on the Hub also holds the same weights for other frameworks.
MODEL_FILES = ("*.json", "*.txt", "*.model", "model.safetensors", "model-*.safetensors")
SPEECHT5_FILES = (*MODEL_FILES, "pytorch_model.bin")  # on the Hub SpeechT5 has no safetensors of its own
X_VECTOR_FILES = ("*.parquet",)
# The speakers of the CMU ARCTIC recordings, by the names that the x-vector table's rows hold.
SPEAKERS = {
    "awb": "Scottish English, male",
    "bdl": "US English, male",
    "clb": "US English, female",
    "jmk": "Canadian English, male",
    "ksp": "Indian English, male",
    "rms": "US English, male",
    "slt": "US English, female",
}
# What an MMS-TTS voice of each of Whisper's languages is called; which of them there are, the disk and the Hub tell. English has
# better voices here.
MMS_NAMES = dict(
    pair.split(":")
    for pair in (
        "af:afr am:amh ar:ara as:asm az:azj-script_latin ba:bak be:bel bg:bul bn:ben bo:bod br:bre bs:bos ca:cat cs:ces cy:cym da:dan "
        "de:deu el:ell es:spa et:est eu:eus fa:fas fi:fin fo:fao fr:fra gl:glg gu:guj ha:hau haw:haw he:heb hi:hin hr:hrv ht:hat "
        "hu:hun hy:hye id:ind is:isl it:ita ja:jpn jw:jav ka:kat kk:kaz km:khm kn:kan ko:kor la:lat lb:ltz ln:lin lo:lao lt:lit "
        "lv:lav mg:mlg mi:mri mk:mkd ml:mal mn:mon mr:mar ms:zlm mt:mlt my:mya ne:npi nl:nld nn:nno no:nob oc:oci pa:pan pl:pol "
        "ps:pus pt:por ro:ron ru:rus sa:san sd:snd si:sin sk:slk sl:slv sn:sna so:som sq:sqi sr:srp-script_cyrillic su:sun sv:swe "
        "sw:swh ta:tam te:tel tg:tgk th:tha tk:tuk-script_latin tl:tgl tr:tur tt:tat uk:ukr ur:urd-script_arabic "
        "uz:uzb-script_cyrillic vi:vie yi:ydd yo:yor yue:yue zh:zho"
    ).split()
)
MULTILINGUAL = 51865  # tokens of a Whisper that knows more than English; openai/whisper tells them apart the same way
HUB_TIMEOUT = 3.0  # seconds; a Hub that has not answered by then is out of reach

Report = Callable[[float, str], None]  # told (fraction done from 0 to 1, what is being done)
Engine = Literal["fast", "pipeline"]
T = TypeVar("T")


@dataclass(frozen=True)
class Settings:
    """What whoever starts the app chooses. The defaults are the tutorials' own."""

    asr_checkpoint: str = "openai/whisper-base.en"  # Hub name or folder; Gradio's "Real Time Speech Recognition"
    translation_checkpoint: str = "openai/whisper-base"  # Hub name or folder; must be multilingual
    tts_checkpoint: str = "microsoft/speecht5_tts"  # Hub name or folder
    vocoder_checkpoint: str = "microsoft/speecht5_hifigan"  # Hub name or folder
    x_vectors: str = "regisss/cmu-arctic-xvectors"  # the Parquet copy of Matthijs/cmu-arctic-xvectors, or a folder
    x_vector_index: int = 7306  # the course's speaker: slt, US English, female
    text_translation_checkpoint: str = "facebook/m2m100_418M"  # Hub name or folder; MIT, any of 100 languages into any other
    mms_voices: str = "facebook/mms-tts-{}"  # Hub names or folders of the voices that speak other languages than English
    device: str = "auto"  # "auto" is CUDA where there is one, else CPU
    dtype: str = "auto"  # "auto" is float16 on CUDA and float32 on CPU, whatever the file was saved in
    engine: Engine = "fast"  # or "pipeline", the tutorial's own call to transformers
    max_minutes: float = 30.0  # longest recording or file that is accepted
    max_characters: int = 5000  # longest text that is spoken
    max_visitors: int = 60  # who have said something and are still here
    max_runs: int = 3  # of one visitor at once
    max_run_minutes: float = 30.0  # after which a run is ended

    def whisper_for(self, task: str) -> str:
        """The checkpoint of "transcribe" or "translate"."""
        return self.translation_checkpoint if task == "translate" else self.asr_checkpoint

    @property
    def max_seconds(self) -> float:
        return self.max_minutes * 60


@dataclass(frozen=True)
class Source:
    """Where a checkpoint was found, before anything of it is loaded."""

    wanted: str  # as it was asked for
    found: str  # what will be loaded
    kind: Literal["folder", "embedded", "hub"]
    folder: Path | None = None  # None while the files are still on the Hub, and for embedded weights

    @property
    def is_stand_in(self) -> bool:
        return self.found != self.wanted

    @property
    def sentence(self) -> str:
        """What the page says of it."""
        where = {
            "folder": f"from {self.folder.name}/" if self.folder else "",
            "embedded": "embedded in the installed packages",
            "hub": "from the Hugging Face Hub",
        }[self.kind]
        if self.is_stand_in:
            return f"{self.found} ({where}), standing in for {self.wanted}: the Hugging Face Hub cannot be reached"
        return f"{self.found} ({where})"


@dataclass(frozen=True, eq=False)
class Whisper:
    """A loaded Whisper checkpoint, shared by every tab."""

    source: Source
    model: WhisperForConditionalGeneration
    feature_extractor: WhisperFeatureExtractor
    tokenizer: WhisperTokenizer

    @property
    def is_multilingual(self) -> bool:
        """English-only checkpoints take neither a language nor a task."""
        return bool(getattr(self.model.generation_config, "is_multilingual", self.model.config.vocab_size >= MULTILINGUAL))


@dataclass(frozen=True, eq=False)
class SpeechT5:
    """The course's text-to-speech: model, vocoder and one speaker's x-vector."""

    source: Source
    processor: SpeechT5Processor
    model: SpeechT5ForTextToSpeech
    vocoder: SpeechT5HifiGan
    x_vector: torch.Tensor  # float, (1, 512)


@dataclass(frozen=True, eq=False)
class TextTranslator:
    """A text translation model, shared by everyone."""

    source: Source
    model: M2M100ForConditionalGeneration
    tokenizer: M2M100Tokenizer


@dataclass(frozen=True, eq=False)
class MMSVoice:
    """One of the MMS-TTS voices: one language each."""

    source: Source
    model: VitsModel
    tokenizer: VitsTokenizer


# --- once per process ---------------------------------------------------------------------------------------------

_loaded: dict[Hashable, Any] = {}
_locks: dict[Hashable, threading.Lock] = {}
_locks_guard = threading.Lock()
_importing = threading.Lock()


def _once(key: Hashable, load: Callable[[], T]) -> T:
    """`load()` once per key. functools.cache would run it once per thread that asks at the same time."""
    with _locks_guard:
        lock = _locks.setdefault(key, threading.Lock())
    with lock:
        if key not in _loaded:
            _loaded[key] = load()
        return cast(T, _loaded[key])


def import_frameworks() -> None:
    """torch, transformers and what else is large, by one thread at a time: of two that import them at once, one sees halves, and fails.

    Whatever imports them elsewhere than at a module's beginning calls this first.
    """
    with _importing:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import torch  # noqa: F401
        from transformers import SpeechT5ForTextToSpeech, WhisperForConditionalGeneration, WhisperTokenizer  # noqa: F401


_cuda_is_full = False


def leave_cuda() -> None:
    """The GPU's memory is full: from now on everything is loaded to the CPU, and what was on the GPU is let go."""
    global _cuda_is_full
    import torch

    _cuda_is_full = True
    with _locks_guard:
        for key in [key for key in [*_loaded] if isinstance(key, tuple) and any(str(part).startswith("cuda") for part in key)]:
            del _loaded[key]
    torch.cuda.empty_cache()


def choose_device(device: str) -> str:
    """`"auto"` is CUDA where there is one, else CPU."""
    import torch

    if _cuda_is_full:
        return "cpu"
    return ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device


def choose_dtype(dtype: str, device: str) -> torch.dtype:
    """`"auto"` is float16 on CUDA, float32 elsewhere: on a CPU, float16 takes three to five times as long."""
    import torch

    if dtype == "auto":
        return torch.float16 if device.startswith("cuda") else torch.float32
    return cast("torch.dtype", getattr(torch, dtype))


def _place(settings: Settings) -> tuple[str, torch.dtype]:
    device = choose_device(settings.device)
    return device, choose_dtype(settings.dtype, device)


# --- the Hub ------------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=1)
def hub_reachable() -> bool:
    """Whether the Hub answers. Asked once per process: a network that swallows packets costs seconds, not each time."""
    from huggingface_hub import constants, get_session

    try:
        get_session().head(constants.ENDPOINT, timeout=HUB_TIMEOUT)
    except Exception:  # no route, no name, offline mode, a proxy's refusal: all mean "not from here"
        return False
    return True


def _snapshot(name: str, files: tuple[str, ...], repo_type: str, *, local: bool, report: Report | None = None) -> Path:
    """The folder of a Hub repository's files, from the cache only (`local`) or downloaded into it."""
    from huggingface_hub import snapshot_download

    folder = snapshot_download(
        name,
        repo_type=repo_type,
        revision=PINNED_REVISIONS.get(name),
        allow_patterns=list(files),
        local_files_only=local,
        tqdm_class=_download_bar(name, report) if report else None,
    )
    return Path(folder)


def _download_bar(name: str, report: Report) -> type:
    """A tqdm that tells `report` how many bytes have come."""
    from tqdm.auto import tqdm

    class DownloadBar(tqdm):  # type: ignore[misc, type-arg, unused-ignore]  # tqdm ships no types
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            kwargs.pop("name", None)  # huggingface_hub names its bars, tqdm does not know that argument
            super().__init__(*args, **{**kwargs, "disable": False})

        def display(self, *args: Any, **kwargs: Any) -> None:
            if self.unit == "B" and self.total:
                done, total = self.n / 1e6, self.total / 1e6
                report(min(1.0, self.n / self.total), f"Downloading {name}: {done:.0f} of {total:.0f} MB")

    return DownloadBar


def _find(name: str, files: tuple[str, ...], stand_in: str | None, repo_type: str = "model", instead: str = "") -> Source:
    """Steps 1, 3, 4 and 5 of the order above. `instead`: what else whoever cannot have it could do."""
    from huggingface_hub import get_cached_repo_tree
    from huggingface_hub.errors import CachedRepoTreeNotFoundError, HFValidationError

    path = Path(name).expanduser()
    if path.is_dir():
        if repo_type == "model" and not (path / "config.json").is_file():
            raise CheckpointError(f"The folder {name} holds no checkpoint: it has no config.json. Give one that save_pretrained wrote.")
        return Source(wanted=name, found=name, kind="folder", folder=path)
    if name.startswith((".", "/", "~")):
        raise CheckpointError(f"There is no folder {name}. Give an existing folder, or a Hub name like openai/whisper-base.")
    folder = None
    try:
        folder = _snapshot(name, files, repo_type, local=True)
        get_cached_repo_tree(name, repo_type=repo_type, revision=PINNED_REVISIONS.get(name))  # shows that it is complete
        return Source(wanted=name, found=name, kind="hub", folder=folder)
    except HFValidationError as error:
        raise CheckpointError(f"{name} is neither a folder nor a name on the Hugging Face Hub, like openai/whisper-base.") from error
    except (OSError, CachedRepoTreeNotFoundError):  # not in the cache, or not known to be all of it
        pass
    if hub_reachable():
        return Source(wanted=name, found=name, kind="hub")
    if folder and any(file.suffix in (".safetensors", ".bin", ".parquet") for file in folder.rglob("*")):
        return Source(wanted=name, found=name, kind="hub", folder=folder)
    if stand_in is None and instead:
        raise CheckpointError(
            f"{name} is neither on this disk nor, with the Hugging Face Hub out of reach, to be had. "
            f"Connect to the internet once, name a local folder, or {instead}"
        )
    if stand_in is None:
        raise CheckpointError(
            f"{name} is neither on this disk nor, with the Hugging Face Hub out of reach, to be had. "
            "Connect to the internet once, or name a local folder."
        )
    return Source(wanted=name, found=stand_in, kind="embedded")


def _folder(source: Source, files: tuple[str, ...], report: Report | None, repo_type: str = "model") -> Path:
    """The folder to load from; downloads what is still on the Hub."""
    if source.folder is not None:
        return source.folder
    try:
        return _snapshot(source.found, files, repo_type, local=False, report=report)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
            raise CheckpointError(
                f"{source.found} could not be kept on this machine: {error.strerror}. "
                "Make room, or set HF_HOME to a folder that has some, then start again."
            ) from error
        raise CheckpointError(
            f"{source.found} could not be downloaded from the Hugging Face Hub ({type(error).__name__}). "
            "Check the name and the connection, then try again: what has come is kept."
        ) from error


# --- Whisper ------------------------------------------------------------------------------------------------------


def find_whisper(name: str) -> Source:
    """Where `name` would be loaded from, without loading it.

    Raises:
        CheckpointError: it is not on this disk, the Hub is out of reach and nothing embedded can stand in.
    """
    is_installed = all(importlib.util.find_spec(package) for package, _ in embedded.WHISPER_FILES)
    if is_installed and name == embedded.WHISPER:
        return Source(wanted=name, found=name, kind="embedded")
    return _find(name, MODEL_FILES, embedded.WHISPER if is_installed else None, instead=TAKE_EMBEDDED)


def is_multilingual(source: Source) -> bool:
    """Whether a Whisper checkpoint knows languages other than English, told before it is loaded."""
    if source.folder is not None:
        config = json.loads((source.folder / "config.json").read_text(encoding="utf-8"))
        return bool(config.get("vocab_size", 0) >= MULTILINGUAL)
    return not source.found.endswith(".en")


def translates(source: Source) -> bool:
    """Whether a Whisper checkpoint was trained to translate into English, told before it is loaded.

    Those with fewer decoder layers than encoder layers (turbo, the distilled ones) were trained to transcribe only.
    """
    if not is_multilingual(source):
        return False
    if source.folder is not None:
        config = json.loads((source.folder / "config.json").read_text(encoding="utf-8"))
        return bool(config.get("decoder_layers") == config.get("encoder_layers"))
    return not re.search(r"turbo|distil", source.found)


def load_whisper(name: str, settings: Settings, report: Report | None = None) -> Whisper:
    """A Whisper checkpoint on its device; loaded on the first call for each (checkpoint, device, dtype).

    Args:
        name: a Hub name or a folder.
        report: told of a download's progress.

    Raises:
        CheckpointError: it cannot be had, or the embedded weights are not what they should be.
    """
    device, dtype = _place(settings)

    def load() -> Whisper:
        import_frameworks()
        from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration, WhisperTokenizer

        source = find_whisper(name)
        if source.is_stand_in:  # the same weights as under their own name, and the same copy of them
            return replace(load_whisper(source.found, settings), source=source)
        if source.kind == "embedded":
            model, tokenizer, feature_extractor = embedded.load_whisper()
        else:
            folder = _folder(source, MODEL_FILES, report)
            if not any(folder.glob("model*.safetensors")):
                raise CheckpointError(
                    f"{source.found} has no weights as safetensors, the only ones that are read here. Give one that save_pretrained wrote."
                )
            model = WhisperForConditionalGeneration.from_pretrained(folder, dtype=dtype)
            _check_tokens(source, model)
            tokenizer = WhisperTokenizer.from_pretrained(folder)
            feature_extractor = WhisperFeatureExtractor.from_pretrained(folder)
        return Whisper(source, model.to(device=device, dtype=dtype).eval(), feature_extractor, tokenizer)

    return _once(("whisper", name, device, dtype), load)


def _check_tokens(source: Source, model: WhisperForConditionalGeneration) -> None:
    """A checkpoint that was made from one of 2022 may not say which tokens are languages: it would be taken for an English one."""
    needed = ("no_timestamps_token_id", *(("lang_to_id", "task_to_id") if model.config.vocab_size >= MULTILINGUAL else ()))
    for each in needed:
        if not getattr(model.generation_config, each, None):
            raise CheckpointError(
                f"{source.found} does not say its {each}. Give it the generation_config.json of the checkpoint that it was made from."
            )


def loaded_whisper(name: str, settings: Settings) -> Whisper | None:
    """A Whisper checkpoint if it is loaded already. Loads nothing, nor waits for another thread's import of torch."""
    if not any(key[0] == "whisper" for key in [*_loaded] if isinstance(key, tuple)):
        return None
    return _loaded.get(("whisper", name, *_place(settings)))


# --- voices -------------------------------------------------------------------------------------------------------


def find_voice(settings: Settings) -> Source:
    """Where SpeechT5 would be loaded from; the embedded voice where one of its three parts cannot be had.

    Raises:
        CheckpointError: neither SpeechT5 nor the embedded voice can be had.
    """
    stand_in = embedded.VOICE if importlib.util.find_spec("hibari") else None
    source = _find(settings.tts_checkpoint, SPEECHT5_FILES, stand_in, instead=TAKE_EMBEDDED)
    parts = (
        _find(settings.vocoder_checkpoint, SPEECHT5_FILES, stand_in, instead=TAKE_EMBEDDED),
        _find(settings.x_vectors, X_VECTOR_FILES, stand_in, "dataset", TAKE_EMBEDDED),
    )
    if any(part.is_stand_in for part in parts):
        return Source(wanted=settings.tts_checkpoint, found=embedded.VOICE, kind="embedded")
    return source


def load_speecht5(settings: Settings, report: Report | None = None) -> SpeechT5:
    """SpeechT5, its vocoder and the speaker's x-vector, on their device; loaded on the first call.

    Raises:
        CheckpointError: one of the three cannot be had.
    """
    device, dtype = _place(settings)

    def load() -> SpeechT5:
        import_frameworks()
        from transformers import SpeechT5ForTextToSpeech, SpeechT5HifiGan, SpeechT5Processor

        source = _find(settings.tts_checkpoint, SPEECHT5_FILES, None, instead=CHOOSE_EMBEDDED)
        folder = _folder(source, SPEECHT5_FILES, report)
        vocoder = _folder(_find(settings.vocoder_checkpoint, SPEECHT5_FILES, None, instead=CHOOSE_EMBEDDED), SPEECHT5_FILES, report)
        return SpeechT5(
            source,
            SpeechT5Processor.from_pretrained(folder),
            SpeechT5ForTextToSpeech.from_pretrained(folder, dtype=dtype).to(device).eval(),
            SpeechT5HifiGan.from_pretrained(vocoder, dtype=dtype).to(device).eval(),
            load_x_vector(settings, report=report),
        )

    key = ("speecht5", settings.tts_checkpoint, settings.vocoder_checkpoint, settings.x_vectors, settings.x_vector_index)
    return _once((*key, device, dtype), load)


def load_x_vector(settings: Settings, speaker: str | None = None, report: Report | None = None) -> torch.Tensor:
    """A speaker's embedding, (1, 512), on SpeechT5's device, out of the table as the course reads it; read on the first call.

    Args:
        speaker: one of `SPEAKERS`; None is row `settings.x_vector_index`. Of the rows of a speaker it is that one, too, if
            it is among them, else the one nearest to their mean: the speaker's most usual voice.

    Raises:
        CheckpointError: the table cannot be had, or holds no such row or speaker.
    """
    device, dtype = _place(settings)

    def load() -> torch.Tensor:
        import_frameworks()
        import torch
        from datasets import load_dataset

        folder = _folder(_find(settings.x_vectors, X_VECTOR_FILES, None, "dataset", CHOOSE_EMBEDDED), X_VECTOR_FILES, report, "dataset")
        files = sorted(str(file) for file in folder.rglob("*.parquet"))
        embeddings_dataset = load_dataset("parquet", data_files={"validation": files}, split="validation")
        row = settings.x_vector_index
        if not 0 <= row < len(embeddings_dataset):
            raise CheckpointError(f"The x-vector table has {len(embeddings_dataset)} speakers' recordings; {row} is not among them.")
        if speaker is not None:
            rows = [index for index, name in enumerate(embeddings_dataset["filename"]) if f"cmu_us_{speaker}_arctic" in name]
            if not rows:
                raise CheckpointError(f"The x-vector table {settings.x_vectors} has no recording of {speaker}. Choose another voice.")
            if row not in rows:
                x_vectors = np.array(embeddings_dataset.select(rows)["xvector"])
                row = rows[int(np.linalg.norm(x_vectors - x_vectors.mean(0), axis=1).argmin())]
        return torch.tensor(embeddings_dataset[row]["xvector"]).unsqueeze(0).to(device=device, dtype=dtype)

    return _once(("x-vector", settings.x_vectors, settings.x_vector_index, speaker, device, dtype), load)


def load_embedded_voice() -> Hibari:
    """The voice that the hibari-tts package carries: English, 24 kHz. Loaded on the first call.

    Raises:
        CheckpointError: it is not installed, or its weights are not the ones that were checked.
    """
    return _once("hibari", embedded.load_voice)


# --- other languages ----------------------------------------------------------------------------------------------


def find_mms_voices(settings: Settings) -> dict[str, Source]:
    """The MMS-TTS voices that can be had, by Whisper's code of their language: on this disk, else on the Hub."""
    import httpx

    names = {code: settings.mms_voices.format(name) for code, name in MMS_NAMES.items()}
    if settings.mms_voices.startswith((".", "/", "~")) or next(Path().glob(settings.mms_voices.format("*")), None):
        folders = {code: Path(name).expanduser() for code, name in names.items()}
        return {
            code: Source(names[code], names[code], "folder", folder)
            for code, folder in folders.items()
            if (folder / "config.json").is_file()
        }
    on_the_hub = frozenset[str]()
    if hub_reachable():
        with contextlib.suppress(OSError, httpx.HTTPError):  # what cannot be asked for now is not promised, and asked for again
            on_the_hub = _hub_names(settings.mms_voices)
    return {code: Source(name, name, "hub") for code, name in names.items() if name in on_the_hub or _is_cached(name)}


def find_mms_voice(language: str, settings: Settings) -> Source:
    """The one of a language, by Whisper's code of it.

    Raises:
        CheckpointError: there is none.
    """
    source = find_mms_voices(settings).get(language)
    if source is None:
        raise CheckpointError(
            f"No voice speaks {language_name(language[:20])} here: none of {settings.mms_voices.format('*')} is on this disk or to be had. "
            "Choose another language, or English."
        )
    return source


@functools.lru_cache(maxsize=4)
def _hub_names(pattern: str) -> frozenset[str]:
    """The names on the Hub that a pattern like "facebook/mms-tts-{}" matches. Asked once per process."""
    from huggingface_hub import HfApi

    author, _, name = pattern.partition("/")
    return frozenset(model.id for model in HfApi().list_models(author=author, search=name.partition("{}")[0]))


def _is_cached(name: str) -> bool:
    from huggingface_hub import try_to_load_from_cache

    return all(isinstance(try_to_load_from_cache(name, file), str) for file in ("config.json", "vocab.json", "model.safetensors"))


def load_mms_voice(language: str, settings: Settings, report: Report | None = None) -> MMSVoice:
    """The voice of a language, on its device; loaded on the first call for each.

    Args:
        language: Whisper's code.

    Raises:
        CheckpointError: there is none, or it cannot be had.
    """
    device, dtype = _place(settings)

    def load() -> MMSVoice:
        import_frameworks()
        from transformers import VitsModel, VitsTokenizer

        source = find_mms_voice(language, settings)
        folder = _folder(source, MODEL_FILES, report)
        model = VitsModel.from_pretrained(folder, dtype=dtype).to(device).eval()
        return MMSVoice(source, model, VitsTokenizer.from_pretrained(folder))

    return _once(("mms", settings.mms_voices, language, device, dtype), load)


def load_text_translator(settings: Settings, report: Report | None = None) -> TextTranslator:
    """The model that translates text, on its device; loaded on the first call.

    Raises:
        CheckpointError: it cannot be had.
    """
    device, dtype = _place(settings)

    def load() -> TextTranslator:
        import_frameworks()
        from transformers import M2M100ForConditionalGeneration, M2M100Tokenizer

        source = _find(settings.text_translation_checkpoint, MODEL_FILES, None)
        folder = _folder(source, MODEL_FILES, report)
        model = M2M100ForConditionalGeneration.from_pretrained(folder, dtype=dtype).to(device).eval()
        return TextTranslator(source, model, M2M100Tokenizer.from_pretrained(folder))

    return _once(("text translation", settings.text_translation_checkpoint, device, dtype), load)


def language_code(language: str) -> str:
    """ "italian", "Italian" or "it" -> "it"; what is none of Whisper's languages comes back as it is."""
    import_frameworks()
    from transformers.models.whisper.tokenization_whisper import TO_LANGUAGE_CODE

    return TO_LANGUAGE_CODE.get(language.lower(), language.lower())


def language_name(code: str) -> str:
    """ "it" -> "Italian"."""
    from babel import Locale

    return Locale("en").languages.get({"jw": "jv"}.get(code, code), code.title())


# --- voice activity -----------------------------------------------------------------------------------------------


def load_speech_detector() -> Any:
    """Silero's voice activity detector, which carries its weights in its package. Loaded on the first call.

    The one that hears many frames in a call: four times as fast as its TorchScript for the same answers, and it keeps nothing
    from call to call, so that any number of threads may share it.
    """

    def load() -> Any:
        import_frameworks()
        import torch

        threads = torch.get_num_threads()
        from silero_vad import load_silero_vad

        torch.set_num_threads(threads)  # importing silero_vad sets the whole process to one thread
        return load_silero_vad(sequence=True)

    return _once("silero-vad", load)
