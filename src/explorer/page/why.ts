import type { DeliveryDecision } from '../../inspection.js';
import type { RouteDescription } from './api.js';
import type { SeenChange, Session } from './session.js';

/** Why a change did or did not become a frame here, for one subscription or for all. */
export interface Reason {
  readonly isSent: boolean;
  readonly text: string;
  /** An action that would subscribe. */
  readonly subscribe?: { readonly stream: string | null; readonly action: string };
}

/** The server's decision, as a sentence. */
export function outcomeText({ outcome, asked, action, sentAs }: DeliveryDecision): string {
  const answers = asked.map(
    ({ permission, answer }) => `${permission} ${answer === null ? 'has no opinion' : answer ? 'says yes' : 'says no'}`,
  );
  const permissions = answers.length > 0 ? ` (${answers.join(', ')})` : '';
  switch (outcome) {
    case 'sent':
      return `sent as ${sentAs ?? action}${permissions}`;
    case 'kept':
      return `the observer's method sent nothing${permissions}`;
    case 'hidden':
      return "the consumer's query, or a permission for the row, does not show it to this client";
    case 'refused':
      return `a permission refused it${permissions}`;
    case 'revoked':
      return 'the subscription is no longer allowed: it has ended';
    case 'ended':
      return 'the subscription had ended';
    case 'failed':
      return 'something threw: see the log of the server';
  }
}

/** Every known reason: one for each subscription of the observer, or that there is none. */
export function reasonsFor(change: SeenChange, session: Session): readonly Reason[] {
  const streams = (session.target?.route.streams ?? []).filter(({ consumer }) => consumer === change.consumer);
  if (streams.length === 0) return [{ isSent: false, text: `${change.consumer} is not behind this path.` }];
  if (session.status !== 'open') return [{ isSent: false, text: 'There was no connection.' }];
  return streams.flatMap(({ stream }) => ofStream(change, session, stream));
}

function ofStream(change: SeenChange, session: Session, stream: string | null): readonly Reason[] {
  const decided = change.decisions.filter((one) => one.stream === stream);
  const listening = (session.state?.streams[stream ?? '']?.subscriptions ?? []).filter(
    ({ observer }) => observer === change.observer,
  );
  const concerned = [...change.before, ...change.after];
  const reasons = decided.map((decision) => ({
    isSent: decision.outcome === 'sent',
    text: `Request #${decision.requestId}: ${outcomeText(decision)}.`,
  }));
  const silent = listening.filter(({ requestId }) => decided.every((one) => one.requestId !== requestId));
  const others = silent.map(({ requestId, groups }) => {
    const isConcerned = groups.some((group) => concerned.includes(group));
    const text = isConcerned
      ? `Request #${requestId} listens to ${listed(groups)}, and began to after this commit.`
      : `Request #${requestId} listens to ${listed(groups)}, which are not groups of this row.`;
    return { isSent: false, text };
  });
  if (reasons.length + others.length > 0) return [...reasons, ...others];
  return [notSubscribed(change, session.target?.route, stream)];
}

function notSubscribed(change: SeenChange, route: RouteDescription | undefined, stream: string | null): Reason {
  const observers = route?.streams.find((one) => one.stream === stream)?.observers ?? [];
  const [action] = observers.find(({ member }) => member === change.member)?.subscribedBy ?? [];
  const text = `This connection has no subscription to ${change.member}.`;
  return { isSent: false, text, ...(action !== undefined && { subscribe: { stream, action } }) };
}

export function listed(groups: readonly string[]): string {
  return groups.length === 0 ? 'no group' : groups.join(', ');
}
