import { answered, given, made } from './faults.js';
import type { Bug } from './plant.js';

type Payload = Record<string, unknown>;

/** What a newcomer from DCRF is told, and would find otherwise. */
export const dcrfBugs: readonly Bug[] = [
  {
    name: 'a request whose action is told by getActionName has the kwargs of the frame',
    story: 'The consumer reads a copy of the payload, and its changes are lost.',
    plant: {
      symbol: 'toRequest',
      in: 'wire/codec',
      with: given((payload: unknown, takeName?: (payload: Payload) => unknown, ...rest: readonly unknown[]) => [
        payload,
        takeName && ((kwargs: Payload) => takeName({ ...kwargs })),
        ...rest,
      ]),
    },
    caughtBy: ['dcrf/hooks-guide'],
  },
  {
    name: 'the error of another library is answered 500 although a mapper knows it',
    story: 'The mappers of the application are not asked.',
    plant: {
      symbol: 'ErrorTranslator',
      with: made((_mappers: readonly object[], ...rest: readonly unknown[]) => [[], ...rest]),
    },
    caughtBy: ['dcrf/hooks-guide'],
  },
  {
    name: 'a permission that guards the connect alone refuses every action',
    story: 'No opinion is taken for a no, as DCRF does.',
    plant: {
      symbol: 'opinionOf',
      with: answered((verdict: string) => (verdict === 'neutral' ? 'refused' : verdict)),
    },
    caughtBy: ['dcrf/permissions'],
  },
  {
    name: 'a plain action does not learn that its client left',
    story: 'Only detached actions are aborted at the disconnect.',
    plant: {
      symbol: 'Request.abort',
      with: (original: (this: AbortedRequest, reason: Error) => void) =>
        function (this: AbortedRequest, reason: Error): void {
          if (this.isDetached || reason.name !== 'Disconnected') original.call(this, reason);
        },
    },
    caughtBy: ['dcrf/detached'],
  },
];

interface AbortedRequest {
  readonly isDetached: boolean;
}
