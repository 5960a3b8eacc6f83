import { find } from './dom.js';

/** Shows, instead of the room, why there is none, and a link to the lobby. The first reason stays. */
export function showMissing(title: string, text: string): void {
  const missing = find('#missing', HTMLElement);
  if (!missing.hidden) return;
  find('#room', HTMLElement).hidden = true;
  find('#room-name', HTMLElement).textContent = 'Signalbox Chat';
  find('#room-host', HTMLElement).textContent = '';
  document.title = `${title} · Signalbox Chat`;
  missing.hidden = false;
  const heading = find('#missing-title', HTMLElement);
  heading.textContent = title;
  // The text is set after the element is shown, so that screen readers read it aloud.
  find('#missing-text', HTMLElement).textContent = text;
  heading.focus();
}
