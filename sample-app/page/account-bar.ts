import { avatarOf } from './avatar.js';
import { element, find } from './dom.js';
import { logOut } from './session.js';
import type { UserView } from './views.js';

/** Shows the logged-in user, and the button to log out. */
export function showAccount(user: UserView): void {
  const button = find('#log-out', HTMLButtonElement);
  button.addEventListener('click', () => void logOut().catch(() => (button.textContent = 'Log out failed, try again')));
  const name = element('span', { class: 'name', title: user.username }, user.username);
  find('#me', HTMLElement).replaceChildren(avatarOf(user), name);
}
