/** Bytes of heap that V8 needs on a 64-bit machine, measured, and rounded up to the worst case. */
const stringBytes = 32;
const numberBytes = 16;
const arrayBytes = 56;
const objectBytes = 64;
const slotBytes = 8;
/** A property name that no other object has needs a hidden class of its own. */
const nameBytes = 128;

/** Objects that do not count, because others hold them, or because they were counted already. */
interface Uncounted {
  /** Asked only for instances of a class. */
  readonly isOther: (object: object) => boolean;
  readonly seen: Set<object>;
}

/**
 * The most heap that a JSON value may take, in bytes. The length of its text is no measure: `[{},{}]` takes 21 times as much.
 *
 * @param isOther for a value that is no JSON and may contain itself: whether an object is held elsewhere anyway, and does not count
 */
export function heapBytesOf(value: unknown, isOther?: (object: object) => boolean): number {
  return bytesOf(value, isOther && { isOther, seen: new Set() });
}

function bytesOf(value: unknown, uncounted: Uncounted | undefined): number {
  switch (typeof value) {
    case 'string':
      return stringBytes + 2 * value.length;
    case 'number':
    case 'bigint':
      return numberBytes;
    case 'object':
      return value === null ? 0 : objectBytesOf(value, uncounted);
    default:
      return 0;
  }
}

function objectBytesOf(value: object, uncounted: Uncounted | undefined): number {
  if (Array.isArray(value)) {
    let bytes = arrayBytes;
    for (const item of value) bytes += slotBytes + bytesOf(item, uncounted);
    return bytes;
  }
  if (ArrayBuffer.isView(value)) return objectBytes + value.byteLength;
  if (value instanceof Set || value instanceof Map) return objectBytes + bytesOf([...value], uncounted);
  if (uncounted) {
    if (uncounted.seen.has(value) || (!isPlain(value) && uncounted.isOther(value))) return 0;
    uncounted.seen.add(value);
  }
  let bytes = objectBytes;
  for (const name in value)
    bytes += nameBytes + slotBytes + 2 * name.length + bytesOf((value as Record<string, unknown>)[name], uncounted);
  return bytes;
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
