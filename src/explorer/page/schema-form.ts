import type { Api, JsonSchema } from './api.js';
import { element, fill } from './dom.js';

/** The part of a form for one value. */
interface Control {
  readonly element: HTMLElement;
  /** The value; undefined if it is left out. */
  read(): unknown;
  write(value: unknown): void;
  /** Shows an error text at the field with this path; an empty text removes it. */
  showError(path: string, text: string): boolean;
}

/** Values nested deeper than this are written as JSON, because schemas may contain themselves. */
const deepest = 4;

let ids = 0;

/** A form made from the schema of an action's kwargs. The form accepts wrong values on purpose: the server checks them. */
export class SchemaForm {
  readonly element: HTMLElement;
  readonly #control: Control;

  /** @param changed called after each input */
  constructor(api: Api, schema: JsonSchema, changed: () => void) {
    const maker = new ControlMaker(api);
    const isEmpty = schema.type === 'object' && Object.keys(schema.properties ?? {}).length === 0;
    this.#control = isEmpty ? nothing : maker.members('', schema, 0);
    this.element = element('div', { class: 'fields' }, this.#control.element);
    this.element.addEventListener('input', changed);
    this.element.addEventListener('change', changed);
  }

  read(): Readonly<Record<string, unknown>> {
    const value = this.#control.read();
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  }

  write(value: unknown): void {
    this.#control.write(value);
  }

  /** @returns the texts for fields that the form does not have */
  showErrors(errors: readonly (readonly [path: string, text: string])[]): readonly string[] {
    for (const shown of this.element.querySelectorAll('[data-error-of]')) fill(shown);
    for (const field of this.element.querySelectorAll('[aria-invalid]')) field.removeAttribute('aria-invalid');
    return errors
      .filter(([path, text]) => !this.#control.showError(path, text))
      .map(([path, text]) => `${path}: ${text}`);
  }
}

const nothing: Control = {
  element: element('p', { class: 'hint' }, 'This action takes no kwargs.'),
  read: () => ({}),
  write: () => {},
  showError: () => false,
};

class ControlMaker {
  constructor(private readonly api: Api) {}

  /** The properties of an object, one below the other. */
  members(path: string, schema: JsonSchema, depth: number): Control {
    const { properties, required = [] } = schema;
    if (!properties) return this.json(path || 'kwargs', schema, true);
    const controls = Object.entries(properties).map(([name, one]) => {
      const inner = path === '' ? name : `${path}.${name}`;
      return [name, this.control(inner, one, required.includes(name), depth + 1)] as const;
    });
    return {
      element: element('div', { class: 'members' }, ...controls.map(([, control]) => control.element)),
      read: () => {
        const values = controls.map(([name, control]) => [name, control.read()] as const);
        return Object.fromEntries(values.filter(([, value]) => value !== undefined));
      },
      write: (value) => {
        for (const [name, control] of controls) control.write((value as Record<string, unknown> | null)?.[name]);
      },
      showError: (at, text) => controls.some(([, control]) => control.showError(at, text)),
    };
  }

  control(path: string, given: JsonSchema, isRequired: boolean, depth: number): Control {
    const schema = this.api.resolve(given);
    const types = [schema.type ?? []].flat().filter((type) => type !== 'null');
    const [type] = types;
    if (schema.enum) return this.choice(path, schema, isRequired, schema.enum);
    if (types.length !== 1) return this.json(path, schema, isRequired);
    if (type === 'boolean') return this.choice(path, schema, isRequired, [true, false]);
    if (type === 'string') return this.text(path, schema, isRequired);
    if (type === 'integer' || type === 'number') return this.number(path, schema, isRequired);
    if (type === 'object' && schema.properties && depth < deepest) return this.group(path, schema, isRequired, depth);
    return this.json(path, schema, isRequired);
  }

  /** An object inside another one. */
  group(path: string, schema: JsonSchema, isRequired: boolean, depth: number): Control {
    const members = this.members(path, schema, depth);
    const legend = element('legend', {}, nameOf(path), isRequired ? required() : optional());
    return {
      ...members,
      element: element('fieldset', { class: 'group' }, legend, members.element),
      read: () => {
        const value = members.read() as object;
        return isRequired || Object.keys(value).length > 0 ? value : undefined;
      },
    };
  }

  text(path: string, schema: JsonSchema, isRequired: boolean): Control {
    const isLong = Number(schema['maxLength'] ?? 0) > 255;
    const made = isLong ? element('textarea', { rows: 2 }) : element('input', { type: 'text' });
    const read = (): unknown => (made.value === '' && !isRequired ? undefined : made.value);
    const write = (value: unknown): void => {
      made.value = value === undefined || value === null ? '' : String(value);
    };
    return this.field(path, schema, isRequired, made, { read, write });
  }

  /** A number. Other input is sent as text, because the developer may want to see the server's answer to it. */
  number(path: string, schema: JsonSchema, isRequired: boolean): Control {
    const made = element('input', { type: 'text', inputmode: 'decimal', class: 'short' });
    const read = (): unknown => (made.value.trim() === '' ? undefined : numberOrText(made.value.trim()));
    const write = (value: unknown): void => {
      made.value = value === undefined || value === null ? '' : String(value);
    };
    return this.field(path, schema, isRequired, made, { read, write });
  }

  choice(path: string, schema: JsonSchema, isRequired: boolean, values: readonly unknown[]): Control {
    const left = element('option', { value: '' }, isRequired ? 'Choose …' : '(left out)');
    const options = values.map((value, index) => element('option', { value: index }, shownValue(value)));
    const made = element('select', { class: 'short' }, left, ...options);
    const read = (): unknown => (made.value === '' ? undefined : values[Number(made.value)]);
    const write = (value: unknown): void => {
      const index = values.indexOf(value);
      made.value = index < 0 ? '' : String(index);
    };
    return this.field(path, schema, isRequired, made, { read, write });
  }

  /** Any other value: JSON, or a text if the input is no JSON. */
  json(path: string, schema: JsonSchema, isRequired: boolean): Control {
    const isStructure = [schema.type ?? []].flat().some((type) => type === 'array' || type === 'object');
    const placeholder = schema.type === 'array' ? '[ … ]' : schema.type === 'object' ? '{ … }' : 'JSON or text';
    const made = isStructure
      ? element('textarea', { rows: 3, class: 'code', placeholder, spellcheck: 'false' })
      : element('input', { type: 'text', class: 'code', placeholder });
    const read = (): unknown => (made.value.trim() === '' ? undefined : jsonOrText(made.value));
    const write = (value: unknown): void => {
      made.value =
        value === undefined ? '' : typeof value === 'string' ? value : JSON.stringify(value, null, isStructure ? 2 : 0);
    };
    return this.field(path, schema, isRequired, made, { read, write });
  }

  field(
    path: string,
    schema: JsonSchema,
    isRequired: boolean,
    made: HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement,
    value: Pick<Control, 'read' | 'write'>,
  ): Control {
    ids += 1;
    made.id = `field-${ids}`;
    made.name = path;
    made.autocomplete = 'off';
    const hint = this.hintOf(schema);
    const hintId = `hint-${ids}`;
    const error = element('p', { class: 'error', id: `error-${ids}`, 'data-error-of': path });
    made.setAttribute('aria-describedby', `${hintId} ${error.id}`);
    if (isRequired) made.setAttribute('aria-required', 'true');
    const isNullable = [schema.type ?? []].flat().includes('null') || (schema.enum?.includes(null) ?? false);
    const isNull = element('input', { type: 'checkbox', id: `null-${ids}` });
    isNull.addEventListener('change', () => {
      made.disabled = isNull.checked;
    });
    if (schema['default'] !== undefined)
      made.setAttribute('placeholder', `default ${JSON.stringify(schema['default'])}`);
    return {
      element: element(
        'div',
        { class: 'field' },
        element('label', { for: made.id }, nameOf(path), isRequired ? required() : optional()),
        element('span', { class: 'hint', id: hintId }, hint),
        element(
          'div',
          { class: 'value' },
          made,
          isNullable && element('label', { class: 'null', for: isNull.id }, isNull, 'null'),
        ),
        error,
      ),
      read: () => (isNull.checked ? null : value.read()),
      write: (given) => {
        isNull.checked = isNullable && given === null;
        made.disabled = isNull.checked;
        value.write(given);
      },
      showError: (at, text) => {
        if (at !== path && !path.endsWith(`.${at}`)) return false;
        made.setAttribute('aria-invalid', 'true');
        error.textContent = [error.textContent, text].filter(Boolean).join(' ');
        return true;
      },
    };
  }

  /** A hint such as `string, 1 to 500 characters`. */
  hintOf(schema: JsonSchema): string {
    const { minLength, maxLength, minimum, maximum, format, pattern } = schema as Readonly<Record<string, unknown>>;
    const isPlainFormat = typeof format === 'string' && !/^int(16|32)$/.test(format);
    const parts = [
      schema.enum ? '' : this.api.worded(schema),
      isPlainFormat ? format : '',
      range(minLength, maxLength, 'characters'),
      range(minimum, maximum, ''),
      typeof pattern === 'string' ? `matches ${pattern}` : '',
    ];
    return parts.filter((part) => part !== '').join(', ');
  }
}

function range(from: unknown, to: unknown, unit: string): string {
  if (from === undefined && to === undefined) return '';
  if (to === undefined) return `at least ${from} ${unit}`.trim();
  return from === undefined || from === 0 ? `up to ${to} ${unit}`.trim() : `${from} to ${to} ${unit}`.trim();
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('.') + 1);
}

function required(): HTMLElement {
  return element('span', { class: 'needed' }, ' required');
}

function optional(): HTMLElement {
  return element('span', { class: 'optional' }, ' optional');
}

function shownValue(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function numberOrText(text: string): unknown {
  return /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(text) ? Number(text) : text;
}

function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
