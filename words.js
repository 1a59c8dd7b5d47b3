// What the page's scripts say: as translations.py has it for a browser that prefers Chinese, else in English.
window.say = (english, ...gaps) => {
  const said = navigator.language.startsWith("zh") ? window.chinese[english] : english;
  return gaps.reduce((text, gap) => text.replace("{}", gap), said);
};
