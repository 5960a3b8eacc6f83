/**
 * How many bytes frames have. Frames that wait share the text of their event as long as none is looked at as a whole, which
 * makes a copy of it; so the event is measured by itself, once for all who wait for it, and what is around it is counted in
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
