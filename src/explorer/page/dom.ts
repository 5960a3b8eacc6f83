type Child = Node | string | number | null | undefined | false;
type Properties = Readonly<Record<string, string | number | boolean | EventListener | undefined>>;

/**
 * An element with its attributes and children. Attributes such as `onclick` are listeners; false and undefined are left out. Texts are set
 * as text, and never become markup.
 */
export function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  properties: Properties = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === 'function') made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, '');
    else if (value !== false && value !== undefined) made.setAttribute(name, String(value));
  }
  fill(made, ...children);
  return made;
}

/** Replaces the children of an element. */
export function fill(parent: Element, ...children: readonly Child[]): void {
  const shown = children.filter((child) => child !== null && child !== undefined && child !== false);
  parent.replaceChildren(...shown.map((child) => (typeof child === 'number' ? String(child) : child)));
}

/** @throws Error if the page has no such element */
export function find<E extends Element = HTMLElement>(selector: string, within: ParentNode = document): E {
  const found = within.querySelector<E>(selector);
  if (!found) throw new Error(`The page has no ${selector}.`);
  return found;
}

/** A button that copies a text and confirms it. */
export function copyButton(label: string, text: () => string): HTMLButtonElement {
  const button = element('button', { type: 'button', class: 'quiet small' }, label);
  button.addEventListener('click', async () => {
    const worked = await copy(text());
    button.textContent = worked ? 'Copied' : 'Copying failed';
    announce(worked ? 'Copied.' : 'Copying failed.');
    setTimeout(() => {
      button.textContent = label;
    }, 1_500);
  });
  return button;
}

async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

/** Announces a sentence to screen readers. */
export function announce(sentence: string): void {
  find('#announcements').textContent = sentence;
}

/** Scrolls the list of tabs to one of them. After `scrollIntoView` the Tab key would go on from there, at the first press too (Chromium 150). */
export function revealTab(tab: HTMLElement): void {
  const list = tab.parentElement;
  if (list) list.scrollLeft += tab.getBoundingClientRect().left - list.getBoundingClientRect().left;
}

/** Makes the arrow keys move between the buttons of a list of tabs, only one of which the tab key reaches. */
export function tabKeys(list: HTMLElement): void {
  list.addEventListener('keydown', (event) => {
    const tabs = [...list.querySelectorAll<HTMLElement>('[role=tab]')];
    const at = tabs.indexOf(document.activeElement as HTMLElement);
    const next = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (at < 0 || next === undefined) return;
    event.preventDefault();
    const tab = tabs[(next + tabs.length) % tabs.length];
    tab?.focus();
    tab?.click();
  });
}
