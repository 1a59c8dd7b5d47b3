// What the page's scripts say: as translations.py has it for a browser that prefers Chinese, else in English.
const isChinese = navigator.language.startsWith("zh");
document.documentElement.lang = isChinese ? "zh-CN" : "en"; // in which a screen reader reads it
window.say = (english, ...gaps) => {
  const said = isChinese ? window.chinese[english] : english;
  return gaps.reduce((text, gap) => text.replace("{}", gap), said);
};
