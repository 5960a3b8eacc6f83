import type { ActionDescription, Api, StreamDescription } from './api.js';
import { announce, copyButton, element, fill, tabKeys } from './dom.js';
import { jsonView } from './json-view.js';
import { SchemaForm } from './schema-form.js';
import { asObject, type Entry, type Session } from './session.js';
import { shapeView } from './shape-view.js';
import { clientCode } from './snippets.js';

/** One action: its description, a form of its kwargs, the frame by hand, its code and its last reply. */
export class RequestPanel {
  readonly element: HTMLElement;
  readonly #form: SchemaForm;
  readonly #hand = element('textarea', { id: 'hand', class: 'code', rows: 8, spellcheck: 'false' });
  readonly #code = element('pre', { class: 'code', tabindex: 0 });
  readonly #reply = element('section', { class: 'reply', 'aria-label': 'Reply' });
  readonly #notice = element('p', { class: 'notice', role: 'note', hidden: true });
  readonly #send = element('button', { type: 'submit', class: 'primary' }, 'Send');
  #isByHand = false;
  #requestId: unknown;

  constructor(
    private readonly api: Api,
    private readonly session: Session,
    private readonly stream: StreamDescription,
    private readonly action: ActionDescription,
  ) {
    this.#form = new SchemaForm(api, action.kwargs, () => this.#changed());
    this.#form.write(remembered(this.#memory));
    this.element = element(
      'div',
      { class: 'request' },
      this.#heading(),
      this.#facts(),
      this.#notice,
      this.#request(),
      this.#reply,
      this.#codeSection(),
      this.#shapes(),
    );
    this.#changed();
    this.showStatus();
  }

  /** Copies a frame from the time line into the form, to be sent again. */
  takeFrame(text: string): void {
    this.#byHand(true);
    this.#hand.value = pretty(text);
    this.#hand.focus();
  }

  showStatus(): void {
    this.#send.disabled = this.session.status !== 'open';
    this.#send.title = this.#send.disabled ? 'Connect first.' : 'Ctrl+Enter';
    const { status, reason } = this.session;
    const needsLogIn = reason.startsWith('401');
    const advice = needsLogIn ? 'Log in on a page of the application in this browser, then press Connect.' : '';
    this.#notice.hidden = status !== 'refused';
    this.#notice.textContent = `The server refused the connection. ${reason} ${advice}`;
  }

  /** Shows the reply to a request that was sent here. */
  showEntry(entry: Entry): void {
    const { kind, stream, requestId, payload, status, took } = entry;
    if (stream !== this.stream.stream || requestId !== this.#requestId || this.#requestId === undefined) return;
    if (kind !== 'reply' && kind !== 'error' && kind !== 'part') return;
    const { data, errors, code } = asObject(payload);
    const unplaced = kind === 'error' ? this.#form.showErrors(errorsIn(errors)) : [];
    const isFailure = kind === 'error';
    fill(
      this.#reply,
      element(
        'h3',
        {},
        element('span', { class: `badge ${isFailure ? 'danger' : 'good'}` }, status ?? ''),
        isFailure ? ` ${String(code)}` : kind === 'part' ? ' Part' : ' Reply',
        took !== null && element('span', { class: 'hint' }, ` ${took.toFixed(took < 10 ? 1 : 0)} ms`),
      ),
      ...sentencesOf(errors).map((sentence) => element('p', { class: 'error' }, sentence)),
      ...unplaced.map((sentence) => element('p', { class: 'error' }, sentence)),
      !isFailure && jsonView(data ?? null),
    );
    announce(
      `${isFailure ? 'Refused' : 'Reply'} ${status}${isFailure ? `: ${[...sentencesOf(errors), ...unplaced].join(' ')}` : ''}`,
    );
  }

  #heading(): HTMLElement {
    const { stream, consumer } = this.stream;
    const { name, member } = this.action;
    return element(
      'header',
      { class: 'heading' },
      element('h2', {}, stream !== null && element('span', { class: 'thin' }, `${stream}.`), name),
      element('p', { class: 'hint' }, element('code', {}, `${consumer}.${member}`)),
    );
  }

  #facts(): HTMLElement {
    const action = this.action;
    const badges = [
      `status ${action.status}`,
      action.isDetail && 'names a row',
      action.isAtomic && 'in a transaction',
      action.isDetached && 'detached',
      action.isStrict && 'strict',
      action.sendsParts && 'sends parts (206)',
      action.aliases.length > 0 && `also ${action.aliases.join(', ')}`,
    ];
    return element(
      'div',
      { class: 'facts' },
      element(
        'ul',
        { class: 'badges' },
        ...badges.filter((one) => one !== false).map((one) => element('li', { class: 'badge' }, one)),
      ),
      element('p', {}, element('span', { class: 'hint' }, 'Asks '), element('code', {}, permissionText(action))),
      action.subscribesTo.length > 0 &&
        element(
          'p',
          {},
          element('span', { class: 'hint' }, 'Subscribes to '),
          ...action.subscribesTo.map((observer) =>
            element('a', { href: `#observer/${encodeURIComponent(this.stream.stream ?? '')}/${observer}` }, observer),
          ),
        ),
    );
  }

  #request(): HTMLElement {
    const byForm = element('button', { type: 'button', role: 'tab', id: 'by-form', 'aria-selected': 'true' }, 'Form');
    const byHand = element(
      'button',
      { type: 'button', role: 'tab', id: 'by-hand', 'aria-selected': 'false', tabindex: -1 },
      'By hand',
    );
    byForm.addEventListener('click', () => this.#byHand(false));
    byHand.addEventListener('click', () => this.#byHand(true));
    const tabs = element(
      'div',
      { class: 'tabs inline', role: 'tablist', 'aria-label': 'How to write the request' },
      byForm,
      byHand,
    );
    tabKeys(tabs);
    const form = element(
      'form',
      { class: 'card', novalidate: true, 'aria-label': `Request ${this.action.name}` },
      tabs,
      element('div', { id: 'form-panel', role: 'tabpanel', 'aria-labelledby': 'by-form' }, this.#form.element),
      element(
        'div',
        { id: 'hand-panel', role: 'tabpanel', 'aria-labelledby': 'by-hand', hidden: true },
        element('label', { for: 'hand' }, 'The frame, sent as it stands here'),
        this.#hand,
      ),
      element('div', { class: 'actions' }, this.#send, element('span', { class: 'hint keys' }, 'Ctrl+Enter')),
    );
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#submit();
    });
    form.addEventListener('keydown', (event) => {
      if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) this.#submit();
    });
    this.#hand.addEventListener('input', () => this.#changed());
    return form;
  }

  #codeSection(): HTMLElement {
    return element(
      'details',
      { class: 'card', open: true },
      element('summary', {}, 'Client code'),
      element(
        'div',
        { class: 'with-copy' },
        this.#code,
        element(
          'div',
          { class: 'copies' },
          copyButton('Copy code', () => this.#code.textContent ?? ''),
          copyButton('Copy frame', () => this.#frame(1)),
        ),
      ),
    );
  }

  #shapes(): HTMLElement {
    const { reply } = this.action;
    return element(
      'details',
      { class: 'card' },
      element(
        'summary',
        {},
        'Shape of the reply: ',
        element('code', { class: 'summary-code' }, this.api.worded(reply)),
      ),
      reply
        ? shapeView(this.api, reply)
        : element(
            'p',
            { class: 'hint' },
            'Nothing is known of it: declare it with ',
            element('code', {}, '@Action({ reply })'),
            '.',
          ),
    );
  }

  /** Switches between the form and the frame, and takes the values along. */
  #byHand(isByHand: boolean): void {
    if (isByHand && !this.#isByHand) this.#hand.value = pretty(this.#frame(this.session.nextId()));
    if (!isByHand && this.#isByHand) this.#form.write(kwargsIn(this.#hand.value));
    this.#isByHand = isByHand;
    for (const [name, isOn] of [
      ['form', !isByHand],
      ['hand', isByHand],
    ] as const) {
      const tab = this.element.querySelector<HTMLElement>(`#by-${name}`);
      const panel = this.element.querySelector<HTMLElement>(`#${name}-panel`);
      if (!tab || !panel) continue;
      tab.setAttribute('aria-selected', String(isOn));
      tab.tabIndex = isOn ? 0 : -1;
      panel.hidden = !isOn;
    }
    this.#changed();
  }

  #submit(): void {
    const text = this.#isByHand ? this.#hand.value : this.#frame(this.session.nextId());
    this.#form.showErrors([]);
    const frame = asObject(safely(text));
    this.#requestId = asObject('payload' in frame ? frame['payload'] : frame)['request_id'];
    fill(this.#reply, element('p', { class: 'hint' }, 'Waiting for the reply …'));
    remember(this.#memory, this.#form.read());
    if (!this.session.sendText(text)) fill(this.#reply, element('p', { class: 'error' }, 'There is no connection.'));
  }

  #frame(requestId: number): string {
    return this.session.frame(this.stream.stream, this.action.name, this.#form.read(), requestId);
  }

  #changed(): void {
    const kwargs = this.#isByHand ? kwargsIn(this.#hand.value) : this.#form.read();
    const { target } = this.session;
    this.#code.textContent = target ? clientCode(target, this.stream.stream, this.action, kwargs) : '';
  }

  get #memory(): string {
    return `${this.stream.stream ?? ''}.${this.action.name}`;
  }
}

function permissionText({ permissions }: ActionDescription): string {
  return permissions.text === 'all()' ? 'no permission' : permissions.text;
}

/** The kwargs in a frame that the developer wrote. */
function kwargsIn(text: string): Readonly<Record<string, unknown>> {
  const frame = asObject(safely(text));
  const { action: _action, request_id: _id, ...kwargs } = asObject('payload' in frame ? frame['payload'] : frame);
  return kwargs;
}

function errorsIn(errors: unknown): readonly (readonly [string, string])[] {
  if (!Array.isArray(errors)) return [];
  return errors.flatMap((one) =>
    typeof one === 'string'
      ? []
      : Object.entries(asObject(one)).map(([path, texts]) => [path, [texts].flat().join(' ')] as const),
  );
}

function sentencesOf(errors: unknown): readonly string[] {
  return Array.isArray(errors) ? errors.filter((one) => typeof one === 'string') : [];
}

function pretty(text: string): string {
  const value = safely(text);
  return value === undefined ? text : JSON.stringify(value, null, 2);
}

function safely(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** Keeps the typed values over a reload, such as after each build. */
function remember(name: string, kwargs: object): void {
  try {
    sessionStorage.setItem(`kwargs ${name}`, JSON.stringify(kwargs));
  } catch {
    // A full or forbidden storage is no reason not to send.
  }
}

function remembered(name: string): unknown {
  try {
    return JSON.parse(sessionStorage.getItem(`kwargs ${name}`) ?? '{}') as unknown;
  } catch {
    return {};
  }
}
