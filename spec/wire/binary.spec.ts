import { expect } from 'chai';
import fc from 'fast-check';
import { decodeBinary, encodeBinary } from '#signalbox/wire/binary.js';
import { checkProperty } from '../support/properties.js';

describe('A binary frame of a stream', () => {
  it('is the length of the name of the stream, the name, and the data', () => {
    expect([...encodeBinary('été', new Uint8Array([7, 8]))]).to.deep.equal([5, 0xc3, 0xa9, 0x74, 0xc3, 0xa9, 7, 8]);
    expect([...encodeBinary('a', new Uint8Array())]).to.deep.equal([1, 97]);
  });

  it('comes back as it was (any name and data)', () => {
    const name = fc.string({ unit: 'grapheme', maxLength: 40 }).filter((text) => Buffer.byteLength(text) < 256);
    checkProperty(
      fc.property(name, fc.uint8Array(), (stream, data) => {
        expect(decodeBinary(encodeBinary(stream, data))).to.deep.equal({ stream, data });
      }),
    );
  });

  it('is none where it is shorter than its name', () => {
    expect(decodeBinary(new Uint8Array([2, 97]))).to.equal(undefined);
    expect(decodeBinary(new Uint8Array())).to.equal(undefined);
  });
});
