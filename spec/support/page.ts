import { Window } from 'happy-dom';
import type { ReactNode } from 'react';
import type { Root } from 'react-dom/client';
import { within } from './deadline.js';

/** A page of a browser, for specs of components: `page.show(element)`, then `await page.shows('text')`. */
export interface Page {
  show(element: ReactNode): void;
  /** Resolves when the text of the page is this. */
  shows(text: string): Promise<void>;
  readonly text: string;
  unmount(): void;
}

/** One page for each spec of a file, in a document of its own. */
export function usePage(): Page {
  let window: Window;
  let root: Root;
  const body = () => window.document.body;

  before(() => {
    // Before React is loaded, which looks for a document then.
    window = new Window();
    Object.assign(globalThis, { window, document: window.document });
  });
  beforeEach(async () => {
    const { createRoot } = await import('react-dom/client');
    body().innerHTML = '<main></main>';
    root = createRoot(window.document.querySelector('main') as never);
  });
  afterEach(() => root.unmount());
  after(async () => {
    await window.happyDOM.close();
    Reflect.deleteProperty(globalThis, 'window');
    Reflect.deleteProperty(globalThis, 'document');
  });

  return {
    show: (element) => root.render(element),
    shows: (text) => within(shown(window, text), `Until the page shows "${text}"`),
    get text() {
      return body().textContent;
    },
    unmount: () => root.unmount(),
  };
}

function shown(window: Window, text: string): Promise<void> {
  const { body } = window.document;
  if (body.textContent === text) return Promise.resolve();
  return new Promise((resolve) => {
    const observer = new window.MutationObserver(() => {
      if (body.textContent !== text) return;
      observer.disconnect();
      resolve();
    });
    observer.observe(body, { childList: true, characterData: true, subtree: true });
  });
}
