// The page's words, by a plain table: words.tsv has a line for each text and a column for each language.
// What stands in index.html is English and is looked up there; "{}" is where a value goes.

const COOKIE = "effigy_language";
export const LANGUAGES = ["en", "de", "es", "zh", "ja", "ru"];
/// As the attribute `lang` wants it: Chinese in simplified characters.
const TAGS = { zh: "zh-Hans" };
const ATTRIBUTES = ["aria-label", "title", "alt", "placeholder"];

let language = "en", table = new Map();
/// Every text of the page as it was written: its node, the attribute or none, and its English.
const fixed = [];

const squeeze = (text) => text.trim().replace(/\s+/g, " ");

/** The text in the page's language, with each value in its place. English where the table has no such text. */
export function t(english, ...values) {
  let i = 0;
  return (table.get(english)?.[language] || english).replaceAll("{}", () => values[i++]);
}

/** Whether the table knows a text. */
export const knows = (english) => table.has(english);
export const current = () => language;

/** Reads the table, remembers the page's own texts, and chooses a language: the one chosen before, or the browser's. */
export async function begin() {
  const answer = await fetch("/words.tsv").catch(() => null);
  if (answer?.ok) {
    const [head, ...rows] = (await answer.text()).split("\n").filter(Boolean).map((line) => line.split("\t"));
    table = new Map(rows.map((row) => [row[0], Object.fromEntries(head.map((name, i) => [name, row[i]]))]));
  }
  const walker = document.createTreeWalker(document.documentElement, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const english = squeeze(node.data);
    if (knows(english)) fixed.push({ node, english, before: node.data.match(/^\s*/)[0], after: node.data.match(/\s*$/)[0] });
  }
  for (const attribute of ATTRIBUTES) {
    for (const node of document.querySelectorAll(`[${attribute}]`)) {
      const english = squeeze(node.getAttribute(attribute));
      if (knows(english)) fixed.push({ node, attribute, english });
    }
  }
  const chosen = document.cookie.match(new RegExp(`(?:^|; )${COOKIE}=(\\w+)`))?.[1];
  const wanted = [chosen, ...(navigator.languages ?? [])].map((tag) => tag?.slice(0, 2).toLowerCase());
  speak(wanted.find((tag) => LANGUAGES.includes(tag)) ?? "en");
}

/** Puts the page into a language. */
export function speak(next) {
  language = next;
  document.documentElement.lang = TAGS[next] ?? next;
  for (const { node, attribute, english, before, after } of fixed) {
    if (attribute) node.setAttribute(attribute, t(english)); else node.data = before + t(english) + after;
  }
}

/** Keeps the choice. A cookie, because the page's port changes from run to run, and cookies know no ports. */
export function keep() {
  document.cookie = `${COOKIE}=${language}; Path=/; Max-Age=31536000; SameSite=Strict`;
}
