import { element } from './dom.js';
import type { UserView } from './views.js';

/** The first letter on a colour of its own; decoration, so the name stands beside it in text. */
export function avatarOf({ id, username }: UserView): HTMLElement {
  const letter = Array.from(username)[0]?.toUpperCase() ?? '?';
  const avatar = element('span', { class: 'avatar', 'aria-hidden': 'true' }, letter);
  // The golden angle: neighbouring ids get colours far apart.
  avatar.style.setProperty('--hue', String(Math.round(id * 137.508) % 360));
  return avatar;
}
