import { faultsOf, shown } from '../configuration-faults.js';
import { ChannelLayerUnavailable } from '../errors.js';

/** Options of every channel layer. */
export interface ChannelLayerOptions {
  /** The longest message, in bytes of its JSON text; a longer one is refused with `MessageTooLarge`. Default: 1 048 576. */
  readonly largestMessage?: number;
  /**
   * The most bytes of messages that may wait, for the server or for channels of this process. Above that, sending is refused with
   * `ChannelLayerUnavailable`, and arriving messages are dropped, which is a gap. Default: 67 108 864.
   */
  readonly largestBacklog?: number;
  /** The number of channels of this process that receive messages before other work has its turn. Default: 250. */
  readonly slice?: number;
}

export const layerDefaults = { largestMessage: 1_048_576, largestBacklog: 67_108_864, slice: 250 };

/**
 * Completes options with defaults and checks them.
 *
 * @throws ConfigurationError for an unknown option, or a value that is no positive integer
 */
export function completeOptions<Options extends Readonly<Record<string, number>>>(
  layer: string,
  defaults: Options,
  given: { readonly [Name in keyof Options]?: number | undefined },
): Options {
  const fault = faultsOf(layer);
  const options = { ...defaults };
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue;
    if (!Object.hasOwn(defaults, name))
      throw fault(name, 'is not an option.', `There are ${Object.keys(defaults).join(', ')}.`);
    if (!Number.isSafeInteger(value) || value < 1) throw fault(name, `is ${shown(value)}.`, 'Give a positive integer.');
    Object.assign(options, { [name]: value });
  }
  return options;
}

/**
 * Resolves when all have settled.
 *
 * @throws the error of the first that failed
 */
export async function allSent(sent: readonly Promise<void>[]): Promise<void> {
  await Promise.allSettled(sent);
  await Promise.all(sent);
}

export function isClosed(): ChannelLayerUnavailable {
  return new ChannelLayerUnavailable('The channel layer is closed.');
}

export function tooMuchWaits(limit: number): ChannelLayerUnavailable {
  return new ChannelLayerUnavailable(`More than ${limit} bytes of messages wait in the channel layer.`);
}
