import { expect } from 'chai';
import { ConfigurationError, route, ValidationFailed, type ViewTarget } from 'signalbox';
import { encodeQuery, fillPath, parametersOf } from '#signalbox/views/view-route.js';

describe('route', () => {
  it('knows its method, its path and the names in it', () => {
    const wanted = route('PUT /rooms/:room/tags/:tag');
    expect(wanted).to.deep.equal({
      target: 'PUT /rooms/:room/tags/:tag',
      method: 'PUT',
      path: '/rooms/:room/tags/:tag',
    });
    expect(parametersOf(wanted)).to.deep.equal(['room', 'tag']);
  });

  it('refuses what is no method, and a path without a slash', () => {
    expect(() => route('FETCH /rooms' as ViewTarget)).to.throw(ConfigurationError, 'is not a method with a path');
    expect(() => route('GET rooms' as ViewTarget)).to.throw(ConfigurationError, 'is not a method with a path');
  });
});

describe('fillPath', () => {
  it('encodes each part, so that it stays one', () => {
    expect(fillPath('/rooms/:pk/x', { pk: 'a/b?c#d' })).to.equal('/rooms/a%2Fb%3Fc%23d/x');
  });

  it('refuses what is missing, what is no plain value, and steps in the path', () => {
    for (const pk of [undefined, null, '', '.', '..', 'a\ud800', {}, [1]])
      expect(() => fillPath('/rooms/:pk', { pk }), JSON.stringify(pk)).to.throw(ValidationFailed);
  });
});

describe('encodeQuery', () => {
  it('repeats a name for each value of a list; null is empty', () => {
    expect(encodeQuery({ tag: ['red', 'a&b'], page: 2, on: true, none: null })).to.equal(
      '?tag=red&tag=a%26b&page=2&on=true&none=',
    );
    expect(encodeQuery({})).to.equal('');
  });

  it('refuses objects, and half of a character', () => {
    expect(() => encodeQuery({ where: { id: 1 } })).to.throw(ValidationFailed);
    expect(() => encodeQuery({ tag: ['a', '\udc00'] })).to.throw(ValidationFailed);
  });
});
