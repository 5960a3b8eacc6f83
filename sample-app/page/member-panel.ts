import { avatarOf } from './avatar.js';
import { element, find } from './dom.js';
import { sentenceOf } from './errors.js';
import type { UserView } from './views.js';

export interface MemberActions {
  add(username: string): Promise<unknown>;
  remove(username: string): Promise<unknown>;
}

/** The members of a private room. Its host adds and removes them; all users inside see the changes. */
export class MemberPanel {
  private readonly panel = find('#members-panel', HTMLDetailsElement);
  private readonly list = find('#members', HTMLUListElement);
  private readonly count = find('#member-count', HTMLElement);
  private readonly form = find('#add-member', HTMLFormElement);
  private readonly username = find('#member-name', HTMLInputElement);
  private readonly error = find('#member-error', HTMLElement);
  private readonly announcement = find('#member-announcement', HTMLElement);
  private host: UserView | undefined;
  private members: readonly UserView[] = [];

  constructor(
    private readonly me: UserView,
    private readonly actions: MemberActions,
  ) {
    // A wide screen has room for it beside the conversation; on a phone it would cover the conversation.
    this.panel.open = matchMedia('(min-width: 56rem)').matches;
    this.username.addEventListener('input', () => this.tell(''));
    this.form.addEventListener('submit', (event) => {
      event.preventDefault();
      void this.add(this.username.value.trim());
    });
  }

  open(host: UserView): void {
    this.host = host;
    this.panel.hidden = false;
    this.form.hidden = !this.isHost;
    this.show(this.members);
  }

  show(members: readonly UserView[]): void {
    this.announce(members);
    this.members = [...members].sort((one, other) => one.username.localeCompare(other.username));
    const focused = document.activeElement?.id;
    this.count.textContent = String(members.length);
    this.list.replaceChildren(...this.members.map((member) => this.item(member)));
    if (focused?.startsWith('remove-')) (document.getElementById(focused) ?? this.username).focus();
  }

  private get isHost(): boolean {
    return this.host?.id === this.me.id;
  }

  private item(member: UserView): HTMLLIElement {
    const name = element('span', { class: 'user-name' }, member.username);
    const item = element('li', { class: 'user', 'data-member': member.username }, avatarOf(member), name);
    if (member.id === this.host?.id) item.append(element('span', { class: 'tag' }, 'host'));
    else if (this.isHost) item.append(this.removeButton(member));
    return item;
  }

  private removeButton({ id, username }: UserView): HTMLButtonElement {
    const attributes = {
      type: 'button',
      id: `remove-${id}`,
      class: 'quiet-button',
      'aria-label': `Remove ${username}`,
    };
    const button = element('button', attributes, 'Remove');
    button.addEventListener('click', () => void this.run(() => this.actions.remove(username)));
    return button;
  }

  private async add(username: string): Promise<void> {
    this.username.focus();
    if (username && (await this.run(() => this.actions.add(username)))) this.username.value = '';
  }

  /** Whether it succeeded. The list needs no update here: the change is an event for all users inside. */
  private async run(action: () => Promise<unknown>): Promise<boolean> {
    try {
      await action();
      this.tell('');
      return true;
    } catch (error) {
      this.tell(sentenceOf(error));
      return false;
    }
  }

  private tell(text: string): void {
    this.error.textContent = text;
    this.username.setAttribute('aria-invalid', String(text !== ''));
  }

  private announce(next: readonly UserView[]): void {
    if (this.members.length === 0) return;
    const added = next.filter(({ id }) => !this.members.some((member) => member.id === id));
    const removed = this.members.filter(({ id }) => !next.some((member) => member.id === id));
    const sentences = [
      ...added.map(({ username }) => `${username} is a member now.`),
      ...removed.map(({ username }) => `${username} is no member any more.`),
    ];
    if (sentences.length > 0) this.announcement.textContent = sentences.join(' ');
  }
}
