import { element, find } from './dom.js';

/** How many frames are kept, and how many characters of each are shown. */
const KEPT = 200;
const SHOWN = 2_000;

/** The key under which the tab remembers whether the drawer is open. */
const OPEN = 'frames';

/** The frames of the socket, for readers who want to see how the chat works. */
class Frames {
  private readonly list = element('ol', { id: 'frame-list', tabindex: '0', 'aria-label': 'Frames' });
  private readonly drawer = element('section', { id: 'frames', class: 'frames', 'aria-label': 'Frames of the socket' });
  private readonly button = element('button', { id: 'show-frames', class: 'quiet-button', type: 'button' }, 'Frames');

  constructor() {
    const hint = element('p', { class: 'hint' }, 'What this page sends and receives over its socket, the newest last.');
    const close = element('button', { class: 'quiet-button', type: 'button' }, 'Close');
    const heading = element('div', { class: 'frames-heading' }, element('h2', {}, 'Frames'), close);
    this.drawer.append(heading, hint, this.list);
    this.button.setAttribute('aria-controls', 'frames');
    this.button.addEventListener('click', () => this.open(this.drawer.hidden !== false));
    close.addEventListener('click', () => {
      this.open(false);
      this.button.focus();
    });
    find('.account', HTMLElement).prepend(this.button);
    document.body.append(this.drawer);
    this.open(sessionStorage.getItem(OPEN) === 'open');
  }

  add(way: 'sent' | 'received', text: string): void {
    const isAtEnd = this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 40;
    const frame: Frame = JSON.parse(text);
    const summary = element('b', {}, `${way === 'sent' ? '→' : '←'} ${summaryOf(frame)}`);
    const head = element('p', { class: 'frame-head' }, summary, ` ${way} at ${timeNow()}`);
    const shown = spaced(frame);
    const code = element('code', {}, shown.length > SHOWN ? `${shown.slice(0, SHOWN)}…` : shown);
    this.list.append(element('li', { class: `frame ${way}` }, head, code));
    if (this.list.childElementCount > KEPT) this.list.firstElementChild?.remove();
    if (isAtEnd) this.list.scrollTop = this.list.scrollHeight;
  }

  private open(isOpen: boolean): void {
    this.drawer.hidden = !isOpen;
    this.button.setAttribute('aria-expanded', String(isOpen));
    document.body.toggleAttribute('data-frames', isOpen);
    sessionStorage.setItem(OPEN, isOpen ? 'open' : 'closed');
    if (isOpen) this.list.scrollTop = this.list.scrollHeight;
  }
}

/** `12:03:04` */
function timeNow(): string {
  return new Date().toLocaleTimeString([], { hour12: false });
}

interface Frame {
  readonly action?: string;
  readonly response_status?: number;
  readonly request_id?: unknown;
  /** Absent in the few frames without a stream, such as a ping. */
  readonly payload?: Frame;
}

/** `create_message #4`, `create 200 #2` */
function summaryOf(frame: Frame): string {
  const { action, response_status: status, request_id: id } = frame.payload ?? frame;
  return [action, status, id === null || id === undefined ? undefined : `#${id}`]
    .filter((part) => part !== undefined)
    .join(' ');
}

/**
 * JSON in one line that may break between its members, but not within their names. A line break inside a value is written as
 * `\n`.
 */
function spaced(frame: Frame): string {
  return JSON.stringify(frame, null, 1).replaceAll(/\n */g, ' ');
}

const frames = new Frames();

/** The browser's WebSocket, whose frames the drawer shows. */
export class WatchedSocket extends WebSocket {
  constructor(url: string, protocols: string[]) {
    super(url, protocols);
    this.addEventListener('message', ({ data }) => frames.add('received', String(data)));
  }

  override send(text: string): void {
    frames.add('sent', text);
    super.send(text);
  }
}
