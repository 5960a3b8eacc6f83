export {
  type AsyncApiChannel,
  type AsyncApiDocument,
  type AsyncApiInfo,
  type AsyncApiMessage,
  type AsyncApiOperation,
  toAsyncApi,
} from './asyncapi.js';
