import { avatarOf } from './avatar.js';
import { element, find } from './dom.js';
import { formatDay, isSameDay, timeElement } from './times.js';
import type { MessageView, UserView } from './views.js';

const MINUTES_OF_A_GROUP = 5;
const NEAR_THE_END = 80;

/** The conversation: in order, without duplicates, and scrolled to its end unless the reader has scrolled away. */
export class MessageList {
  private readonly log = find('#messages', HTMLElement);
  private readonly list = find('#message-list', HTMLOListElement);
  private readonly empty = find('#no-messages', HTMLElement);
  private readonly newer = find('#newer', HTMLButtonElement);
  private messages: MessageView[] = [];
  private unread = 0;

  constructor(private readonly me: UserView) {
    this.newer.addEventListener('click', () => {
      this.scrollToEnd();
      this.log.focus();
    });
    this.log.addEventListener('scroll', () => this.isAtEnd() && this.showUnread(0), { passive: true });
    new ResizeObserver(() => this.unread === 0 && this.scrollToEnd()).observe(this.log);
  }

  /** Adds the history, which may overlap with the shown messages. Screen readers do not read it aloud. */
  merge(history: readonly MessageView[]): void {
    const known = new Map([...history, ...this.messages].map((message) => [message.id, message]));
    const isFollowing = this.messages.length === 0 || this.isAtEnd();
    this.messages = [...known.values()].sort((one, other) => one.id - other.id);
    this.log.setAttribute('aria-busy', 'true');
    this.list.replaceChildren(...this.messages.flatMap((message, i) => this.itemsOf(message, this.messages[i - 1])));
    this.log.removeAttribute('aria-busy');
    this.empty.hidden = this.messages.length > 0;
    if (isFollowing) this.scrollToEnd();
  }

  add(message: MessageView): void {
    const last = this.messages.at(-1);
    // Two writers may commit in another order than that of their ids.
    if (last && message.id <= last.id) {
      this.merge([message]);
      return;
    }
    const isFollowing = this.isAtEnd() || message.user.id === this.me.id;
    this.messages.push(message);
    this.empty.hidden = true;
    const items = this.itemsOf(message, last);
    items.at(-1)?.classList.add('arriving');
    this.list.append(...items);
    if (isFollowing) this.scrollToEnd();
    else this.showUnread(this.unread + 1);
  }

  private itemsOf(message: MessageView, previous: MessageView | undefined): HTMLLIElement[] {
    const item = this.item(message, isContinued(message, previous));
    if (previous && isSameDay(previous.createdAt, message.createdAt)) return [item];
    const day = element('span', {}, formatDay(message.createdAt));
    return [element('li', { class: 'day' }, day), item];
  }

  private item({ id, user, text, createdAt }: MessageView, isContinued: boolean): HTMLLIElement {
    const isOwn = user.id === this.me.id;
    const classes = ['message', isOwn ? 'own' : 'foreign', isContinued ? 'continued' : 'first'].join(' ');
    const author = element('span', { class: 'author' }, isOwn ? 'You' : user.username);
    const meta = element('p', { class: 'meta' }, author, ' ', timeElement(createdAt));
    const bubble = element('div', { class: 'bubble' }, meta, element('p', { class: 'text', dir: 'auto' }, text));
    return element('li', { class: classes, 'data-message': String(id) }, avatarOf(user), bubble);
  }

  private isAtEnd(): boolean {
    return this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < NEAR_THE_END;
  }

  private scrollToEnd(): void {
    this.log.scrollTop = this.log.scrollHeight;
    this.showUnread(0);
  }

  private showUnread(count: number): void {
    this.unread = count;
    this.newer.hidden = count === 0;
    this.newer.textContent = count === 1 ? '1 new message' : `${count} new messages`;
  }
}

function isContinued(message: MessageView, previous: MessageView | undefined): boolean {
  if (previous?.user.id !== message.user.id || !isSameDay(previous.createdAt, message.createdAt)) return false;
  return Date.parse(message.createdAt) - Date.parse(previous.createdAt) < MINUTES_OF_A_GROUP * 60_000;
}
