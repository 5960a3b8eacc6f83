import { expect } from 'chai';
import { ApiError, Conflict, type ErrorMapper, Logger, NotFound, Unavailable } from 'signalbox';
import { MemoryLogger } from 'signalbox/testing';
import { ErrorTranslator } from '#signalbox/dispatch/error-mapping.js';

class CardDeclined extends Error {}
class CardUnknown extends Error {}

const declined: ErrorMapper = {
  toApiError: (thrown) => (thrown instanceof CardDeclined ? new Conflict('The card was declined.') : undefined),
};
const unknown: ErrorMapper = {
  toApiError: (thrown) => (thrown instanceof CardUnknown ? new NotFound('No such card.') : undefined),
};

describe('The error translator', () => {
  let logger: MemoryLogger;
  const translate = (thrown: unknown, mappers: ErrorMapper[] = [declined, unknown], to: Logger = logger) =>
    new ErrorTranslator(mappers, to).translate(thrown, { action: 'pay' });

  beforeEach(() => {
    logger = new MemoryLogger();
  });

  it("hands on an application's own error, with its status, code and texts", () => {
    class RoomFull extends ApiError {
      static override readonly status = 409;
      static override readonly code = 'room_full';
      static override readonly detail = 'This room is full.';
    }
    const error = new RoomFull();
    expect(translate(error)).to.equal(error);
    expect(error).to.deep.include({ status: 409, code: 'room_full', errors: ['This room is full.'] });
    expect(new RoomFull('Come back.', { errors: [{ room: ['Full.'] }] })).to.deep.include({
      message: 'Come back.',
      errors: [{ room: ['Full.'] }],
    });
    expect(logger.entries).to.deep.equal([]);
  });

  it('asks the mappers in turn for an error of another library', () => {
    expect(translate(new CardDeclined())).to.deep.include({ status: 409, errors: ['The card was declined.'] });
    expect(translate(new CardUnknown())).to.deep.include({ status: 404, errors: ['No such card.'] });
    expect(logger.entries.map(({ level, fields }) => [level, fields.code])).to.deep.equal([
      ['debug', 'conflict'],
      ['debug', 'not_found'],
    ]);
  });

  it('warns of a known error that is none of the client', () => {
    const thrown = new Error('Nobody answers.');
    const lost: ErrorMapper = { toApiError: () => new Unavailable() };
    expect(translate(thrown, [lost])).to.include({ status: 503, code: 'unavailable' });
    expect(logger.entries).to.deep.equal([
      {
        level: 'warn',
        message: 'An action could not be carried out.',
        fields: { action: 'pay', code: 'unavailable', error: thrown },
      },
    ]);
  });

  it('logs an unknown error whole, and tells the client a correlation id only', () => {
    const thrown = new Error('secret', { cause: new Error('deeper') });
    const error = translate(thrown);
    const [entry] = logger.entries;
    expect(entry).to.deep.include({ level: 'error', message: 'An action failed.' });
    expect(entry?.fields).to.include({ action: 'pay', error: thrown });
    expect(entry?.fields.correlationId).to.match(/^[0-9a-f-]{36}$/);
    expect(error).to.deep.include({
      status: 500,
      code: 'server_error',
      errors: [`A server error occurred. Correlation id: ${entry?.fields.correlationId}.`],
    });
  });

  for (const thrown of [undefined, null, 'text', 0, Symbol('s'), {}, () => {}]) {
    it(`takes ${String(thrown)} for an unknown error`, () => {
      expect(translate(thrown)).to.include({ status: 500 });
      expect(logger.entries[0]?.fields).to.have.property('error', thrown);
    });
  }

  for (const [what, spoilt] of [
    ['a time to try again that is no number', new Conflict('Later.', { retryAfter: Number.NaN })],
    ['a time to try again without end', new Conflict('Never.', { retryAfter: Number.POSITIVE_INFINITY })],
    ['errors that no JSON shows', new Conflict('So much.', { errors: [{ amount: [1n as never] }] })],
    [
      'errors that throw when they are looked at',
      Object.defineProperty(new Conflict(), 'errors', {
        get() {
          throw new Error('Not here.');
        },
      }),
    ],
  ] as const) {
    it(`takes an error of the application's own with ${what} for an unknown one`, () => {
      expect(translate(spoilt)).to.include({ status: 500, code: 'server_error' });
      expect(logger.entries[0]?.fields.error).to.equal(spoilt);
    });
  }

  it('survives a mapper that throws', () => {
    const failure = new Error('The mapper failed.');
    const failing: ErrorMapper = {
      toApiError: () => {
        throw failure;
      },
    };
    const thrown = new Error('secret');
    expect(translate(thrown, [failing])).to.include({ status: 500, code: 'server_error' });
    expect(logger.entries.map(({ message, fields }) => [message, fields.error])).to.deep.equal([
      ['An error mapper failed.', failure],
      ['An action failed.', thrown],
    ]);
  });

  it('survives a logger that throws', () => {
    const broken = new Logger('debug', () => {
      throw new Error('The disk is full.');
    });
    expect(translate(new Error('secret'), [], broken)).to.include({ status: 500, code: 'server_error' });
  });
});
