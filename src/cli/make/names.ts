import { UsageError } from '../command.js';

/** One name in each spelling: `ToDoItem`, `toDoItem`, `to-do-item`, `to_do_item`, `to do item`. */
export interface Name {
  readonly pascal: string;
  readonly camel: string;
  readonly kebab: string;
  readonly snake: string;
  readonly text: string;
}

/** A name and its plural: `Category` and `Categories`. */
export interface Names extends Name {
  readonly plural: Name;
}

/**
 * @param typed the name in any spelling
 * @param suffix of the class, which is left out of the name: `NoteConsumer` is `Note`
 */
export function namesOf(typed: string, suffix = ''): Names {
  const words = typed
    .replace(/([A-Z]+)([A-Z][a-z])/g, '$1 $2')
    .replace(/([a-z\d])([A-Z])/g, '$1 $2')
    .split(/[\s_-]+/)
    .filter(Boolean)
    .map((word) => word.toLowerCase());
  if (words.length > 1 && words.at(-1) === suffix.toLowerCase()) words.pop();
  const isName = words.length > 0 && words.every((word) => /^[a-z\d]+$/.test(word)) && !/^\d/.test(words[0] ?? '');
  if (!isName)
    throw new UsageError(`"${typed}" is no name: use letters and digits, beginning with a letter, as in ToDoItem.`);
  const last = words.at(-1) ?? '';
  return { ...spelled(words), plural: spelled([...words.slice(0, -1), pluralOf(last)]) };
}

function spelled(words: readonly string[]): Name {
  const pascal = words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('');
  return {
    pascal,
    camel: pascal.charAt(0).toLowerCase() + pascal.slice(1),
    kebab: words.join('-'),
    snake: words.join('_'),
    text: words.join(' '),
  };
}

function pluralOf(word: string): string {
  if (/[^aeiou]y$/.test(word)) return `${word.slice(0, -1)}ies`;
  return /(s|x|z|ch|sh)$/.test(word) ? `${word}es` : `${word}s`;
}
