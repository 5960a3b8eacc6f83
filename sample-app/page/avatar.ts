import { element } from './dom.js';
import type { UserView } from './views.js';

/** The first letter on the user's colour. It is only decoration, so the name also stands beside it as text. */
export function avatarOf({ id, username }: UserView): HTMLElement {
  const letter = Array.from(username)[0]?.toUpperCase() ?? '?';
  const avatar = element('span', { class: 'avatar', 'aria-hidden': 'true' }, letter);
  // By the golden angle, neighbouring ids get very different colours.
  avatar.style.setProperty('--hue', String(Math.round(id * 137.508) % 360));
  return avatar;
}
