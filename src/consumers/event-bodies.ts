/** What an event tells, and the JSON text that says so. */
export interface EventBody {
  readonly text: string;
  readonly data: unknown;
}

/** Decodes once for all deliveries of one text that follow each other. They share the data, which are frozen therefore. */
export class EventBodies {
  #last: EventBody | undefined;

  of(text: string): EventBody {
    if (this.#last?.text === text) return this.#last;
    this.#last = { text, data: frozen(JSON.parse(text)) };
    return this.#last;
  }
}

function frozen(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  for (const part of Object.values(value)) frozen(part);
  return Object.freeze(value);
}
