import type { Api, JsonSchema } from './api.js';
import { element } from './dom.js';

/** Schemas nested deeper than this are only named, because schemas may contain themselves. */
const deepest = 4;

/** The shape of values: each property with its type, those of nested objects below it. */
export function shapeView(api: Api, schema: JsonSchema, depth = 0): HTMLElement {
  const inner = objectIn(api, schema);
  if (!inner) return element('p', {}, element('code', {}, api.worded(schema)));
  const { properties = {}, required = [] } = inner;
  return element(
    'ul',
    { class: 'shape' },
    ...Object.entries(properties).map(([name, one]) => {
      const below = depth < deepest && objectIn(api, one) ? shapeView(api, one, depth + 1) : null;
      return element(
        'li',
        {},
        element('code', { class: 'property' }, name),
        element('span', { class: 'hint' }, ` ${api.worded(one)}${required.includes(name) ? '' : ', may be missing'}`),
        below,
      );
    }),
  );
}

/** The object schema of a schema, of its items, or of one of its alternatives. */
function objectIn(api: Api, schema: JsonSchema): JsonSchema | undefined {
  const { properties, items, anyOf } = api.resolve(schema);
  if (properties) return Object.keys(properties).length > 0 ? api.resolve(schema) : undefined;
  if (items) return objectIn(api, items);
  for (const one of anyOf ?? []) {
    const found = objectIn(api, one);
    if (found) return found;
  }
  return undefined;
}
