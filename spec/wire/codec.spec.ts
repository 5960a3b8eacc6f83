import { expect } from 'chai';
import { Conflict, Throttled, ValidationFailed } from 'signalbox';
import { defaultSettings } from '#signalbox/settings.js';
import { addressOf, encodeData, encodeReply, errorReply, readFrame, toRequest } from '#signalbox/wire/codec.js';

describe('The codec', () => {
  describe('reads a frame', () => {
    it('that is a JSON object', () => {
      expect(readFrame('{"action": "list", "request_id": 1}').frame).to.deep.equal({ action: 'list', request_id: 1 });
    });

    for (const text of ['', '{', 'undefined', "{'action': 1}", '{"a": 1}{']) {
      it(`and refuses ${JSON.stringify(text)}, which is no JSON`, () => {
        expect(readFrame(text).refusal?.message).to.equal('The frame is not valid JSON.');
      });
    }

    for (const text of ['null', 'true', '1', '"list"', '[]', '[{"action": "list"}]']) {
      it(`and refuses ${text}, which is no object`, () => {
        expect(readFrame(text).refusal?.message).to.equal('A frame has to be a JSON object.');
      });
    }

    it('and says what the guard of JSON refuses, and yet whom to answer', () => {
      const { frame, refusal } = readFrame('{"action": "list", "request_id": 3, "pk": 9007199254740993, "pk": 1}');
      expect(refusal?.message).to.match(/^The number 9007199254740993 is beyond 2\^53/);
      expect(addressOf(frame)).to.deep.equal({ action: 'list', requestId: 3 });
      expect(
        readFrame('{"a": [1, 2, 3]}', { ...defaultSettings.limits, jsonArrayLength: 2 }).refusal?.message,
      ).to.equal('An array may have at most 2 elements.');
      expect(readFrame('['.repeat(65_536)).refusal?.message).to.equal('The frame is not valid JSON.');
      expect(readFrame(`${'['.repeat(30_000)}${']'.repeat(30_000)}`).refusal?.message).to.equal(
        'A frame may be nested at most 32 levels deep.',
      );
    });
  });

  it('counts the keys, strings, numbers and signs of a frame, and each character of one that is refused', () => {
    expect(readFrame('{"action":"list","pk":12}').signs).to.equal(9);
    expect(readFrame('{"a":[1,2,3').signs).to.equal(9);
    expect(readFrame('{"a":1,"a":1}').signs).to.equal(13);
  });

  describe('reads a request', () => {
    it('whose kwargs are all that is neither action nor request id', () => {
      expect(toRequest({ action: 'move', request_id: 'a', pk: 1, to: 'b' })).to.deep.equal({
        action: 'move',
        requestId: 'a',
        kwargs: { pk: 1, to: 'b' },
      });
    });

    for (const id of [0, 1, -1, 1.5, 9007199254740991, '', 'a', '1']) {
      it(`with the request id ${JSON.stringify(id)}`, () => {
        expect(toRequest({ action: 'list', request_id: id }).requestId).to.equal(id);
        expect(addressOf({ request_id: id }).requestId).to.equal(id);
      });
    }

    it('without a request id, which is null', () => {
      expect(toRequest({ action: 'list' }).requestId).to.equal(null);
      expect(toRequest({ action: 'list', request_id: null }).requestId).to.equal(null);
    });

    for (const id of [true, false, {}, [], [1], Number.POSITIVE_INFINITY, 9007199254740992]) {
      it(`and refuses the request id ${JSON.stringify(id)} (${id}), which could not come back`, () => {
        expect(() => toRequest({ action: 'list', request_id: id })).to.throw(
          'The request_id has to be a string or a number.',
        );
        expect(addressOf({ action: 'list', request_id: id })).to.deep.equal({ action: 'list', requestId: null });
      });
    }

    it('and refuses a request id of more than 64 characters, or as many as are set', () => {
      const id = 'a'.repeat(64);
      expect(toRequest({ action: 'list', request_id: id }).requestId).to.equal(id);
      for (const read of [
        () => toRequest({ action: 'list', request_id: `${id}a` }),
        () => toRequest({ action: 'list', request_id: id }, undefined, 63),
      ]) {
        expect(read)
          .to.throw(/^The request_id may have at most 6[34] characters\.$/)
          .with.property('status', 400);
      }
      expect(addressOf({ request_id: `${id}a` }).requestId).to.equal(null);
      expect(addressOf({ request_id: id }, 63).requestId).to.equal(null);
    });

    it('and refuses one without an action, with the text of DCRF', () => {
      for (const payload of [{}, { action: null }]) {
        expect(() => toRequest(payload))
          .to.throw('Unable to find action in message body.')
          .with.property('status', 405);
      }
    });

    for (const action of [1, true, {}, ['list']]) {
      it(`and refuses the action ${JSON.stringify(action)}`, () => {
        expect(() => toRequest({ action }))
          .to.throw('The action has to be a string.')
          .with.property('status', 400);
        expect(addressOf({ action, request_id: 3 })).to.deep.equal({ action: null, requestId: 3 });
      });
    }

    for (const payload of [undefined, null, 1, 'list', [], true]) {
      it(`and refuses the payload ${JSON.stringify(payload)}`, () => {
        expect(() => toRequest(payload))
          .to.throw('A request has to be a JSON object.')
          .with.property('status', 400);
        expect(addressOf(payload)).to.deep.equal({ action: null, requestId: null });
      });
    }
  });

  describe('writes', () => {
    it('a bigint as text, nothing as null, and a date as ISO 8601', () => {
      expect(encodeData({ big: 12345678901234567890n, at: new Date(0) })).to.equal(
        '{"big":"12345678901234567890","at":"1970-01-01T00:00:00.000Z"}',
      );
      expect(encodeData(undefined)).to.equal('null');
      expect(encodeData(() => 1)).to.equal('null');
    });

    it('the five keys of a reply, in their order', () => {
      expect(encodeReply({ action: 'list', requestId: 1, status: 200, data: '[1]', errors: [] })).to.equal(
        '{"errors":[],"data":[1],"action":"list","response_status":200,"request_id":1}',
      );
    });

    it('the envelope of a stream, also of none that is known', () => {
      const reply = { action: null, requestId: null, status: 200, data: 'null', errors: [] };
      const frame = '{"errors":[],"data":null,"action":null,"response_status":200,"request_id":null}';
      expect(encodeReply(reply, 'a"b')).to.equal(`{"stream":"a\\"b","payload":${frame}}`);
      expect(encodeReply(reply, null)).to.equal(`{"stream":null,"payload":${frame}}`);
    });

    it('when to try again, where the error knows', () => {
      const reply = errorReply(new Throttled(undefined, { retryAfter: 12.5 }), { action: 'move', requestId: 'a' });
      expect(encodeReply(reply)).to.equal(
        '{"errors":["Request was throttled."],"data":{"retry_after_ms":13},"action":"move","response_status":429,"request_id":"a","code":"throttled"}',
      );
    });

    it('the sixth key of an error', () => {
      expect(encodeReply(errorReply(new Conflict(), { action: 'move', requestId: 'a' }))).to.equal(
        '{"errors":["The request conflicts with the current state."],"data":null,"action":"move","response_status":409,"request_id":"a","code":"conflict"}',
      );
      expect(errorReply(ValidationFailed.of({ to: ['Bad.'] }), { action: null, requestId: null })).to.deep.equal({
        action: null,
        requestId: null,
        status: 400,
        data: 'null',
        errors: [{ to: ['Bad.'] }],
        code: 'validation_failed',
      });
    });
  });
});
