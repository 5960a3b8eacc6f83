/**
 * Counts the bytes of frames. Waiting frames share the text of their event until one is read as a whole, which copies it; so the event is
 * measured by itself, once for all connections that wait for it, and the text around it is counted in characters.
 */
export class FrameSizes {
  #body = '';
  #bytes = 0;

  /** @param body the longest part of the text, if other frames share it */
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
  /** Identifies the row and its subscription. */
  readonly key: string;
  readonly action: string;
  /** Makes the same frame with another action. */
  readonly as: (action: string) => string;
}

export interface Frame {
  readonly data: string | Uint8Array;
  readonly latest?: Latest | undefined;
  /** The longest part of the text, which other frames may share. */
  readonly body?: string | undefined;
}

export interface WaitingFrame extends Frame {
  readonly bytes: number;
  /** When it began to wait, in milliseconds. */
  readonly at: number;
}

/** Bytes of heap of a waiting frame beside its text: measured, and rounded up. Frames of a few characters take many times their text. */
const frameBytes = 160;

/** Frames that wait for a slow reader, in order, counted in bytes. */
export class OutboundQueue {
  #frames: (WaitingFrame | undefined)[] = [];
  /** The index of the first waiting frame; earlier ones have left. */
  #first = 0;
  /** The index of the last frame of each key. Made when there is one, because few clients read slowly. */
  #places: Map<string, number> | undefined;
  /** Bytes of the frames and of the queue's own entries. */
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
   * Replaces a waiting event of the same row. A create that has not left yet stays a create; a delete is never replaced, because a row that
   * comes back after it is a new one to the client. Returns whether an event was replaced.
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
