import { find } from './dom.js';

/** In place of the room: why there is none, and the way to the lobby. The first reason stays. */
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
  // Shown first and filled then, so that it is read aloud.
  find('#missing-text', HTMLElement).textContent = text;
  heading.focus();
}
