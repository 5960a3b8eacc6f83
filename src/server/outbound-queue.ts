/**
 * How many bytes frames have. Frames that wait share the text of their event as long as none is looked at as a whole, which
 * makes a copy of it; so the event is measured by itself, once for all connections that it waits for, and what is around it is counted in
 * characters.
 */
export class FrameSizes {
  #body = '';
  #bytes = 0;

  /** @param body the longest part of the text, where other frames have it as well */
  of(data: string | Uint8Array, body = ''): number {
    if (typeof data !== 'string') return data.byteLength;
    if (body.length < data.length / 2) return Buffer.byteLength(data);
    if (body !== this.#body) {
      this.#body = body;
      this.#bytes = Buffer.byteLength(body);
    }
    return this.#bytes + data.length - body.length;
  }
}

/** Marks the frame of an event of which only the latest is worth sending. */
export interface Latest {
  /** Tells the row and its subscription. */
  readonly key: string;
  readonly action: string;
  /** Gives the same frame with another action. */
  readonly as: (action: string) => string;
}

export interface Frame {
  readonly data: string | Uint8Array;
  readonly latest?: Latest | undefined;
  /** The longest part of a text, which other frames may have as well. */
  readonly body?: string | undefined;
}

export interface WaitingFrame extends Frame {
  readonly bytes: number;
  /** When it began to wait, in milliseconds. */
  readonly at: number;
}

/** Heap of a waiting frame beside its text, in bytes: measured, and rounded up. Frames of a few characters would take many times their text. */
const frameBytes = 160;

/** Frames that wait for a slow reader, in order, counted in bytes. */
export class OutboundQueue {
  #frames: (WaitingFrame | undefined)[] = [];
  /** Where the first one is; what stands before it has left. */
  #first = 0;
  /** The place of the last frame of each key. Made when there is one: few clients read slowly. */
  #places: Map<string, number> | undefined;
  /** Bytes of the frames and of what keeps them in order. */
  bytes = 0;
  isEmpty = true;

  get oldest(): number | undefined {
    return this.#frames[this.#first]?.at;
  }

  push(frame: WaitingFrame): void {
    if (frame.latest) {
      this.#places ??= new Map();
      this.#places.set(frame.latest.key, this.#frames.length);
    }
    this.#frames.push(frame);
    this.isEmpty = false;
    this.bytes += frame.bytes + frameBytes;
  }

  /**
   * Puts an event in the place of the one that waits for the same row. A create that has not left yet stays a create; a delete is
   * never replaced, for a row that comes back after it is another one to the client. Returns whether there was a place.
   */
  conflate({ latest, body }: Frame, sizes: FrameSizes): boolean {
    const place = latest && this.#places?.get(latest.key);
    const earlier = place === undefined ? undefined : this.#frames[place];
    if (!latest || !earlier?.latest || place === undefined || earlier.latest.action === 'delete') return false;
    const action = earlier.latest.action === 'create' && latest.action === 'update' ? 'create' : latest.action;
    const data = latest.as(action);
    const bytes = sizes.of(data, body);
    this.#frames[place] = { data, body, bytes, at: earlier.at, latest: { ...latest, action } };
    this.bytes += bytes - earlier.bytes;
    return true;
  }

  shift(): WaitingFrame | undefined {
    const frame = this.#frames[this.#first];
    if (!frame) return undefined;
    if (frame.latest && this.#places?.get(frame.latest.key) === this.#first) this.#places.delete(frame.latest.key);
    this.#frames[this.#first++] = undefined;
    this.bytes -= frame.bytes + frameBytes;
    if (this.#first === this.#frames.length) this.clear();
    return frame;
  }

  clear(): void {
    this.#frames = [];
    this.#first = 0;
    this.#places = undefined;
    this.bytes = 0;
    this.isEmpty = true;
  }
}
