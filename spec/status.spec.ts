import { expect } from 'chai';
import { CloseCode, Status } from 'signalbox';
import { closeCodeOf, toReason } from '#signalbox/status.js';

describe('Statuses and close codes', () => {
  it('have the numbers that the protocol gives them', () => {
    expect(Status).to.deep.equal({
      ok: 200,
      created: 201,
      noContent: 204,
      partial: 206,
      badRequest: 400,
      unauthorized: 401,
      forbidden: 403,
      notFound: 404,
      methodNotAllowed: 405,
      conflict: 409,
      gone: 410,
      tooManyRequests: 429,
      cancelled: 499,
      serverError: 500,
      unavailable: 503,
      timeLimit: 504,
    });
    expect(CloseCode).to.deep.equal({
      normal: 1000,
      goingAway: 1001,
      unsupportedData: 1003,
      policy: 1008,
      tooBig: 1009,
      serverError: 1011,
      restart: 1012,
      overloaded: 1013,
      slowReader: 4408,
      unauthenticated: 4401,
      forbidden: 4403,
    });
  });

  it('close a connection that is refused after its handshake', () => {
    expect([401, 403, 404, 500].map((status) => closeCodeOf({ status }))).to.deep.equal([4401, 4403, 1011, 1011]);
  });

  it('come with as much of a reason as fits into 123 bytes, in whole characters', () => {
    expect(toReason('Short.')).to.equal('Short.');
    expect(toReason('x'.repeat(124))).to.equal('x'.repeat(123));
    expect(toReason('é'.repeat(100))).to.equal('é'.repeat(61));
    expect(toReason('😀'.repeat(100))).to.equal('😀'.repeat(30));
  });
});
