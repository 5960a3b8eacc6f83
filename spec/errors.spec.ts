import { expect } from 'chai';
import {
  ActionNotFound,
  ApiError,
  Cancelled,
  ConfigurationError,
  Conflict,
  Disconnected,
  NotAuthenticated,
  NotFound,
  OutcomeUnknown,
  Overloaded,
  ParseError,
  PermissionDenied,
  ServerClosing,
  SignalboxError,
  StreamNotFound,
  Throttled,
  TimeLimitExceeded,
  Unavailable,
  UnexpectedError,
  ValidationFailed,
} from 'signalbox';

describe('The family of errors', () => {
  const table: readonly [ApiError, number, string, string][] = [
    [new ApiError(), 500, 'error', 'A server error occurred.'],
    [new ParseError(), 400, 'parse_error', 'Malformed request.'],
    [new ValidationFailed(), 400, 'validation_failed', 'Invalid input.'],
    [new NotAuthenticated(), 401, 'not_authenticated', 'Authentication credentials were not provided.'],
    [new PermissionDenied(), 403, 'permission_denied', 'You do not have permission to perform this action.'],
    [new NotFound(), 404, 'not_found', 'Not found.'],
    [new StreamNotFound(), 404, 'stream_not_found', 'Not found.'],
    [new ActionNotFound(), 405, 'action_not_found', 'Unable to find action in message body.'],
    [ActionNotFound.named('fly'), 405, 'action_not_found', 'Method "fly" not allowed.'],
    [new Conflict(), 409, 'conflict', 'The request conflicts with the current state.'],
    [new Overloaded(), 503, 'overloaded', 'The server has no room for another connection.'],
    [new Throttled(), 429, 'throttled', 'Request was throttled.'],
    [new Cancelled(), 499, 'cancelled', 'The request was cancelled.'],
    [new ServerClosing(), 503, 'server_closing', 'The server is closing.'],
    [new Unavailable(), 503, 'unavailable', 'The connection to the database failed. Try again later.'],
    [
      new OutcomeUnknown(),
      503,
      'outcome_unknown',
      'The connection to the database was lost during the commit. The request may have taken effect.',
    ],
    [new TimeLimitExceeded(), 504, 'time_limit_exceeded', 'The action exceeded its time limit.'],
    [new UnexpectedError('c-1'), 500, 'server_error', 'A server error occurred. Correlation id: c-1.'],
  ];
  for (const [error, status, code, text] of table) {
    it(`answers ${status} ${code} with "${text}"`, () => {
      expect(error).to.include({ status, code, message: text });
      expect(error.errors).to.deep.equal([text]);
      expect(error).to.be.instanceOf(SignalboxError).and.instanceOf(Error);
    });
  }

  it('is named after its classes', () => {
    expect(new PermissionDenied().name).to.equal('PermissionDenied');
    expect(String(new NotFound('No such room.'))).to.equal('NotFound: No such room.');
    expect(new Disconnected().name).to.equal('Disconnected');
  });

  it('takes a text, errors and a cause of its own', () => {
    const cause = new Error('declined');
    const error = new Conflict('Taken.', { errors: [{ name: ['Taken.'] }], cause });
    expect(error.message).to.equal('Taken.');
    expect(error.errors).to.deep.equal([{ name: ['Taken.'] }]);
    expect(error.cause).to.equal(cause);
    expect(new Conflict()).not.to.have.property('cause');
  });

  it('tells the texts of each field', () => {
    const error = ValidationFailed.of({ name: ['too long'], 'lines.0.amount': ['no number', 'too small'] });
    expect(error).to.include({ status: 400, code: 'validation_failed' });
    expect(error.errors).to.deep.equal([{ name: ['too long'], 'lines.0.amount': ['no number', 'too small'] }]);
  });

  it('grows by subclasses of the application', () => {
    class RoomFull extends ApiError {
      static override readonly status = 409;
      static override readonly code = 'room_full';
      static override readonly detail = 'This room is full.';
    }
    const error = new RoomFull();
    expect(error).to.include({ name: 'RoomFull', status: 409, code: 'room_full' });
    expect(error.errors).to.deep.equal(['This room is full.']);
    expect(new RoomFull('Room 4 is full.').errors).to.deep.equal(['Room 4 is full.']);
  });

  it('keeps the correlation id at hand', () => {
    expect(new UnexpectedError('c-1').correlationId).to.equal('c-1');
  });

  it('does not tell clients that a socket is gone or a declaration wrong', () => {
    expect(new Disconnected()).not.to.be.instanceOf(ApiError);
    expect(new ConfigurationError({ class: 'A', reason: 'is wrong.', remedy: 'Mend it.' })).not.to.be.instanceOf(
      ApiError,
    );
  });
});

describe('A configuration error', () => {
  it('names class, member, reason and way out', () => {
    const error = new ConfigurationError({
      class: 'RoomConsumer',
      member: 'join',
      reason: 'is twice there.',
      remedy: 'Drop one.',
    });
    expect(error.message).to.equal('RoomConsumer.join: is twice there. Drop one.');
    expect(error.name).to.equal('ConfigurationError');
  });

  it('names the class alone where no member is to blame', () => {
    const error = new ConfigurationError({ class: 'RoomConsumer', reason: 'is wrong.', remedy: 'Mend it.' });
    expect(error.message).to.equal('RoomConsumer: is wrong. Mend it.');
  });
});
