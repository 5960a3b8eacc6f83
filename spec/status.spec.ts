import { expect } from 'chai';
import { CloseCode, Status } from 'signalbox';

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
      unauthenticated: 4401,
      forbidden: 4403,
      slowReader: 4408,
    });
  });
});
