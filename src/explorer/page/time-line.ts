import type { DeliveryDecision } from '../../inspection.js';
import { copyButton, element, fill } from './dom.js';
import { jsonLine, jsonView } from './json-view.js';
import { asObject, type Entry, type EntryKind, type Session } from './session.js';
import { outcomeText } from './why.js';

const kinds: readonly (readonly [label: string, kinds: readonly EntryKind[]])[] = [
  ['Sent', ['sent']],
  ['Replies', ['reply', 'part']],
  ['Events', ['event']],
  ['Errors', ['error']],
  ['Not sent', ['withheld']],
  ['Other', ['frame', 'note']],
];

const signs: Readonly<Record<EntryKind, string>> = {
  sent: '→',
  reply: '←',
  part: '←',
  event: '◆',
  error: '←',
  frame: '←',
  withheld: '⊘',
  note: '·',
};

const words: Readonly<Record<EntryKind, string>> = {
  sent: 'sent',
  reply: 'reply',
  part: 'part',
  event: 'event',
  error: 'error',
  frame: 'frame',
  withheld: 'not sent',
  note: 'note',
};

/** Everything that was sent and received, the newest first. */
export class TimeLine {
  readonly element: HTMLElement;
  readonly #list = element('ol', { class: 'entries' });
  readonly #hidden = new Set<EntryKind>();
  readonly #text = element('input', { type: 'search', id: 'entry-filter', placeholder: 'Filter', autocomplete: 'off' });
  readonly #pause = element('button', { type: 'button', class: 'quiet small', 'aria-pressed': 'false' }, 'Pause');
  #isPaused = false;

  /** @param use copies a frame into the request, to be sent again */
  constructor(
    private readonly session: Session,
    private readonly use: (text: string) => void,
  ) {
    const clear = element('button', { type: 'button', class: 'quiet small' }, 'Clear');
    clear.addEventListener('click', () => {
      session.clearEntries();
      this.show();
    });
    this.#pause.addEventListener('click', () => {
      this.#isPaused = !this.#isPaused;
      this.#pause.setAttribute('aria-pressed', String(this.#isPaused));
      this.#pause.textContent = this.#isPaused ? 'Go on' : 'Pause';
      if (!this.#isPaused) this.show();
    });
    this.#text.addEventListener('input', () => this.show());
    this.element = element(
      'div',
      { class: 'time-line' },
      element(
        'div',
        { class: 'filters' },
        element(
          'div',
          { class: 'chips', role: 'group', 'aria-label': 'What is shown' },
          ...kinds.map((one) => this.#chip(...one)),
        ),
        element(
          'div',
          { class: 'row' },
          element('label', { class: 'visually-hidden', for: 'entry-filter' }, 'Filter the frames by a text'),
          this.#text,
          this.#pause,
          clear,
        ),
      ),
      this.#list,
    );
    this.show();
  }

  add(entry: Entry): void {
    if (this.#isPaused) return;
    if (!this.#fits(entry)) return;
    this.#list.querySelector('.empty')?.remove();
    this.#list.prepend(this.#item(entry));
    while (this.#list.childElementCount > 500) this.#list.lastElementChild?.remove();
  }

  show(): void {
    const shown = this.session.entries.filter((entry) => this.#fits(entry)).reverse();
    const isEmpty = shown.length === 0;
    const hint =
      this.session.entries.length > 0 ? 'Nothing fits the filters.' : 'Frames appear here as they come and go.';
    fill(this.#list, ...shown.map((entry) => this.#item(entry)), isEmpty && element('li', { class: 'empty' }, hint));
  }

  #chip(label: string, of: readonly EntryKind[]): HTMLElement {
    const chip = element('button', { type: 'button', class: `chip ${of[0]}`, 'aria-pressed': 'true' }, label);
    chip.addEventListener('click', () => {
      const isShown = this.#hidden.has(of[0] ?? 'note');
      for (const kind of of) this.#hidden[isShown ? 'delete' : 'add'](kind);
      chip.setAttribute('aria-pressed', String(isShown));
      this.show();
    });
    return chip;
  }

  #fits({ kind, text, stream, action }: Entry): boolean {
    const wanted = this.#text.value.toLowerCase();
    const all = `${stream ?? ''} ${action ?? ''} ${text}`.toLowerCase();
    return !this.#hidden.has(kind) && wanted.split(/\s+/).every((word) => all.includes(word));
  }

  #item(entry: Entry): HTMLElement {
    const { kind, stream, action, status, requestId, took, at } = entry;
    if (kind === 'note')
      return element('li', { class: 'entry note' }, time(at), element('span', { class: 'what' }, entry.text));
    const body = element('div', { class: 'body', hidden: true });
    const name = stream === null ? (action ?? 'frame') : `${stream}.${action ?? '?'}`;
    const button = element(
      'button',
      { type: 'button', class: 'line', 'aria-expanded': 'false' },
      time(at),
      element('span', { class: 'sign', 'aria-hidden': 'true' }, signs[kind]),
      element('span', { class: 'visually-hidden' }, `${words[kind]} `),
      element('span', { class: 'what' }, name),
      status !== null && element('span', { class: `badge ${status >= 400 ? 'danger' : 'good'}` }, status),
      requestId !== null && element('span', { class: 'id', title: 'request_id' }, `#${requestId}`),
      took !== null && element('span', { class: 'took' }, `${took.toFixed(0)} ms`),
      element('span', { class: 'preview' }, preview(entry)),
    );
    button.addEventListener('click', () => {
      const isOpen = button.getAttribute('aria-expanded') === 'true';
      button.setAttribute('aria-expanded', String(!isOpen));
      body.hidden = isOpen;
      if (!isOpen && body.childElementCount === 0) fill(body, ...this.#details(entry));
    });
    return element('li', { class: `entry ${kind}` }, button, body);
  }

  #details({ kind, payload, text }: Entry): readonly HTMLElement[] {
    if (kind === 'withheld') {
      const decision = payload as DeliveryDecision;
      return [element('p', { class: 'why' }, outcomeText(decision)), jsonView(decision)];
    }
    const use = element('button', { type: 'button', class: 'quiet small' }, 'Send again …');
    use.addEventListener('click', () => this.use(text));
    const copies = element(
      'div',
      { class: 'copies' },
      kind === 'sent' && use,
      copyButton('Copy frame', () => text),
    );
    return [payload === undefined ? element('pre', { class: 'json' }, text) : jsonView(payload), copies];
  }
}

function preview({ kind, payload }: Entry): string {
  if (kind === 'withheld') return outcomeText(payload as DeliveryDecision);
  const {
    action: _action,
    request_id: _id,
    response_status: _status,
    errors,
    data,
    code,
    ...kwargs
  } = asObject(payload);
  if (kind === 'sent') return data === undefined ? jsonLine(kwargs) : jsonLine({ ...kwargs, data });
  if (kind === 'error') return `${code ?? ''} ${jsonLine(errors)}`;
  return kind === 'frame' ? jsonLine(payload) : jsonLine(data);
}

function time(at: Date): HTMLElement {
  const text = at.toLocaleTimeString('en-GB');
  return element('time', { datetime: at.toISOString(), title: at.toISOString() }, text);
}
