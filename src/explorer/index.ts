export {
  type AsyncApiChannel,
  type AsyncApiDocument,
  type AsyncApiInfo,
  type AsyncApiMessage,
  type AsyncApiOperation,
  toAsyncApi,
} from './asyncapi.js';
export { type ExplorerOptions, explorer } from './explorer.js';
