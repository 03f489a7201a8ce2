import type { CheckoutStatus } from '../../src/checkout/status.ts';
import type { PaymentBody } from './api.ts';
import type { Scenario } from './scenario.ts';
import { waitFor } from './wait.ts';

/** What payers see of the payments of a scenario: the page's status, which a page is made of. */
export type PayerPages = {
  url(payment: PaymentBody): string;
  statusOf(payment: PaymentBody): Promise<CheckoutStatus>;
  untilState(
    payment: PaymentBody,
    state: CheckoutStatus['state'],
    holds?: (status: CheckoutStatus) => boolean,
  ): Promise<CheckoutStatus>;
};

export function openPayerPages({ home }: Pick<Scenario, 'home'>): PayerPages {
  const url = (payment: PaymentBody) => `${home.current().url}/pay/${payment.payment_token}`;
  const statusOf = async (payment: PaymentBody) =>
    (await (await fetch(`${url(payment)}/status`)).json()) as CheckoutStatus;
  return {
    url,
    statusOf,
    untilState(payment, state, holds = () => true) {
      let seen: CheckoutStatus | undefined;
      return waitFor(
        `${payment.payment_number} to be ${state}`,
        async () => {
          seen = await statusOf(payment);
          return seen.state === state && holds(seen) && seen;
        },
        { describe: () => seen },
      );
    },
  };
}
