const mask = Buffer.from([0x37, 0xfa, 0x21, 0x3d]);

/** A frame as clients send them: masked. At most 65 535 bytes. */
export function frameOf(opcode: number, content: string | Buffer): Buffer {
  const payload = Buffer.from(content as string);
  const isLong = payload.length > 125;
  const head = Buffer.from([0x80 | opcode, 0x80 | (isLong ? 126 : payload.length), ...(isLong ? [0, 0] : [])]);
  if (isLong) head.writeUInt16BE(payload.length, 2);
  for (const [index, byte] of payload.entries()) payload[index] = byte ^ (mask[index & 3] ?? 0);
  return Buffer.concat([head, mask, payload]);
}

/** Every whole frame of a server. Returns where the first one begins that is not whole. */
export function readFrames(bytes: Buffer, start: number, take: (opcode: number, content: Buffer) => void): number {
  let begin = start;
  for (;;) {
    const left = bytes.length - begin;
    if (left < 2) return begin;
    const short = (bytes[begin + 1] ?? 0) & 127;
    const head = short === 126 ? 4 : short === 127 ? 10 : 2;
    if (left < head) return begin;
    const size = short === 126 ? bytes.readUInt16BE(begin + 2) : short === 127 ? bytes.readUInt32BE(begin + 6) : short;
    if (left < head + size) return begin;
    take((bytes[begin] ?? 0) & 15, bytes.subarray(begin + head, begin + head + size));
    begin += head + size;
  }
}
