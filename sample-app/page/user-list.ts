import { avatarOf } from './avatar.js';
import { element, find } from './dom.js';
import type { UserView } from './views.js';

/** The users in the room. The page also announces in words when users enter and leave. */
export class UserList {
  private readonly list = find('#users', HTMLUListElement);
  private readonly count = find('#user-count', HTMLElement);
  private readonly announcement = find('#announcement', HTMLElement);
  private shown: ReadonlyMap<number, UserView> | undefined;

  constructor(private readonly me: UserView) {}

  show(users: readonly UserView[]): void {
    const next = new Map(users.map((user) => [user.id, user]));
    this.announce(next);
    this.shown = next;
    this.count.textContent = String(users.length);
    const sorted = [...users].sort((one, other) => one.username.localeCompare(other.username));
    this.list.replaceChildren(...sorted.map((user) => this.item(user)));
  }

  private item(user: UserView): HTMLLIElement {
    const name = element('span', { class: 'user-name' }, user.username);
    const item = element('li', { class: 'user', 'data-user': user.username }, avatarOf(user), name);
    if (user.id === this.me.id) item.append(element('span', { class: 'tag' }, 'you'));
    return item;
  }

  private announce(next: ReadonlyMap<number, UserView>): void {
    const before = this.shown;
    if (!before) return;
    const joined = [...next.values()].filter(({ id }) => !before.has(id) && id !== this.me.id);
    const left = [...before.values()].filter(({ id }) => !next.has(id) && id !== this.me.id);
    const sentences = [
      ...joined.map(({ username }) => `${username} joined.`),
      ...left.map(({ username }) => `${username} left.`),
    ];
    if (sentences.length > 0) this.announcement.textContent = sentences.join(' ');
  }
}
