import { element } from './dom.js';

/** Longer texts are cut, so that a page of rows does not make the browser slow. */
const longest = 20_000;

const token = /("(?:\\.|[^"\\])*")(\s*:)?|\b(true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/** A value as indented JSON with colours. */
export function jsonView(value: unknown): HTMLElement {
  const text = JSON.stringify(value, null, 2) ?? 'undefined';
  const view = element('pre', { class: 'json', tabindex: 0 });
  view.append(...colored(text.slice(0, longest)));
  if (text.length > longest) {
    const rest = element('button', { type: 'button', class: 'quiet small' }, `Show all ${text.length} characters`);
    rest.addEventListener('click', () => view.replaceChildren(...colored(text)));
    view.append('\n', rest);
  }
  return view;
}

function colored(text: string): (Node | string)[] {
  const parts: (Node | string)[] = [];
  let end = 0;
  for (const match of text.matchAll(token)) {
    const [whole, string, colon, word] = match;
    parts.push(text.slice(end, match.index));
    const kind =
      string === undefined ? (word === undefined ? 'number' : 'word') : colon === undefined ? 'string' : 'key';
    parts.push(element('span', { class: `json-${kind}` }, string ?? whole), colon ?? '');
    end = match.index + whole.length;
  }
  return [...parts, text.slice(end)];
}

/** One line of JSON, cut if it is long. */
export function jsonLine(value: unknown, most = 160): string {
  const text = JSON.stringify(value) ?? '';
  return text.length > most ? `${text.slice(0, most)}…` : text;
}
