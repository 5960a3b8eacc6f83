/** The longest stream name in bytes, which the frame counts in one byte. */
export const longestStreamName = 255;

/** A binary frame of a stream: one byte with the length of the stream's name in UTF-8, the name, and the data. */
export function encodeBinary(stream: string, data: Uint8Array): Uint8Array<ArrayBuffer> {
  const name = new TextEncoder().encode(stream);
  const frame = new Uint8Array(1 + name.length + data.length);
  frame[0] = name.length;
  frame.set(name, 1);
  frame.set(data, 1 + name.length);
  return frame;
}

/** @returns undefined if the frame is shorter than the name that it announces; the data are a view of the frame */
export function decodeBinary(frame: Uint8Array): { readonly stream: string; readonly data: Uint8Array } | undefined {
  const start = 1 + (frame[0] ?? 0);
  if (frame.length < start) return undefined;
  return { stream: new TextDecoder().decode(frame.subarray(1, start)), data: frame.subarray(start) };
}
