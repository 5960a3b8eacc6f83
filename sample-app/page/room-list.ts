import { avatarOf } from './avatar.js';
import { element } from './dom.js';
import { lockSign } from './lock.js';
import { formatBriefly, timeElement } from './times.js';
import type { RoomSummary } from './views.js';

const SHOWN_USERS = 4;

/** The rooms of the lobby; rooms with users in them come first. */
export class RoomList {
  private readonly rooms = new Map<number, RoomSummary>();
  private wanted = '';

  constructor(
    private readonly list: HTMLUListElement,
    private readonly empty: HTMLElement,
    private readonly noMatch: HTMLElement,
  ) {}

  show(rooms: readonly RoomSummary[]): void {
    this.rooms.clear();
    for (const room of rooms) this.rooms.set(room.id, room);
    this.render();
  }

  filter(wanted: string): void {
    this.wanted = wanted.trim().toLocaleLowerCase();
    this.render();
  }

  named(name: string): RoomSummary | undefined {
    return [...this.rooms.values()].find((room) => room.name === name.trim());
  }

  private render(): void {
    const focused = document.activeElement?.id;
    const matching = [...this.rooms.values()]
      .filter(({ name }) => name.toLocaleLowerCase().includes(this.wanted))
      .sort((one, other) => other.currentUsers.length - one.currentUsers.length || lastOf(other) - lastOf(one));
    this.list.replaceChildren(...matching.map(card));
    this.list.removeAttribute('aria-busy');
    this.empty.hidden = this.rooms.size > 0;
    this.noMatch.hidden = this.rooms.size === 0 || matching.length > 0;
    if (focused?.startsWith('room-')) document.getElementById(focused)?.focus();
  }
}

function lastOf({ lastMessage, id }: RoomSummary): number {
  return lastMessage ? Date.parse(lastMessage.createdAt) : id;
}

function card(room: RoomSummary): HTMLLIElement {
  const link = element('a', { href: `/rooms/${room.id}`, id: `room-${room.id}` }, room.name);
  const title = element('h3', {}, ...(room.isPrivate ? [lockSign(), ' '] : []), link);
  const heading = element('div', { class: 'card-heading' }, title);
  if (room.lastMessage)
    heading.append(timeElement(room.lastMessage.createdAt, formatBriefly(room.lastMessage.createdAt)));
  return element('li', { class: 'card' }, heading, lastMessage(room), people(room));
}

function lastMessage({ lastMessage, host }: RoomSummary): HTMLElement {
  if (!lastMessage)
    return element('p', { class: 'snippet quiet' }, `Opened by ${host.username}. There is no message yet.`);
  const author = element('span', { class: 'snippet-author' }, `${lastMessage.user.username}: `);
  return element('p', { class: 'snippet' }, author, lastMessage.text);
}

function people({ currentUsers }: RoomSummary): HTMLElement {
  if (currentUsers.length === 0) return element('p', { class: 'people quiet' }, 'Nobody inside');
  const avatars = element('span', { class: 'avatars' }, ...currentUsers.slice(0, SHOWN_USERS).map(avatarOf));
  const count = currentUsers.length === 1 ? '1 person inside' : `${currentUsers.length} people inside`;
  return element('p', { class: 'people' }, avatars, count);
}
