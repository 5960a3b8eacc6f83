import { Clock, Counters, Logger } from 'signalbox';
import { MemoryCounters, MemoryLogger, TestClock } from 'signalbox/testing';
import { type DependencyContainer, container as globalContainer } from 'tsyringe';

export interface TestProviders {
  readonly container: DependencyContainer;
  readonly logger: MemoryLogger;
  readonly clock: TestClock;
  readonly counters: MemoryCounters;
}

/** A container of its own, whose log and counters can be read, and whose clock stands still. */
export function testProviders(): TestProviders {
  const container = globalContainer.createChildContainer();
  const logger = new MemoryLogger();
  const clock = new TestClock();
  const counters = new MemoryCounters();
  container.registerInstance(Logger, logger);
  container.registerInstance(Clock, clock);
  container.registerInstance(Counters, counters);
  return { container, logger, clock, counters };
}
