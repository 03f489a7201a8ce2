import type { Language } from './languages.ts';

/** What a payer reads who says that he has paid, and who wants a fresh quote. */
export type LookMessages = {
  title: string;
  label: string;
  button: string;
  notOne: string;
  /** `seconds` until the next look is possible. */
  tooSoon: (seconds: number) => string;
  again: (seconds: number) => string;
  back: string;
  verdicts: {
    right: (confirmations: number, required: number) => string;
    late: string;
    too_little: string;
    unmined: string;
    another_token: string;
    another_network: (network: string) => string;
    another_recipient: string;
    failed: string;
    before: string;
    not_found: string;
  };
  requote: { button: string; text: string; refused: { title: string; text: string } };
};

export const lookMessages: Record<Language, LookMessages> = {
  en: {
    title: 'I paid, but it is not shown',
    label: 'The hash of your transaction, or its link in a block explorer',
    button: 'Look for it',
    notOne:
      'That is no hash of a transaction. It has 64 digits from 0 to 9 and a to f; your wallet or exchange shows it.',
    tooSoon: (seconds) => `We looked a moment ago. Try again in ${seconds} s.`,
    again: (seconds) => `You can look again in ${seconds} s.`,
    back: 'Back to the payment',
    verdicts: {
      right: (n, m) => `We have your transfer. Confirmations: ${n} of ${m}.`,
      late: 'Your transfer arrived after the time was over. The shop has been told; do not pay again.',
      too_little:
        'Your transfer arrived, and it is too little. The page of the payment shows what is missing.',
      unmined:
        'The network knows your transaction, but has not confirmed it yet. It will be shown by itself.',
      another_token: 'Your transfer arrived in another token. The shop has been told; do not pay again.',
      another_network: (network) =>
        `Your transfer arrived on another network: ${network}. The shop has been told; do not pay again.`,
      another_recipient: 'This transaction does not pay the address of this payment.',
      failed: 'This transaction failed: the network has moved no money.',
      before: 'This transaction is older than this payment, and does not belong to it.',
      not_found: 'No network knows this transaction yet.',
    },
    requote: {
      button: 'Get a new price',
      text: 'Only if you have not paid yet: the same order at the price of now.',
      refused: { title: 'There is no new price', text: 'Contact the shop, or start again there.' },
    },
  },
  'zh-CN': {
    title: '我已付款,但没有显示',
    label: '交易哈希,或区块浏览器中的交易链接',
    button: '查找',
    notOne: '这不是交易哈希。它由 64 个 0 到 9 和 a 到 f 的字符组成,您的钱包或交易所会显示。',
    tooSoon: (seconds) => `刚刚查过。请在 ${seconds} 秒后再试。`,
    again: (seconds) => `${seconds} 秒后可以再次查找。`,
    back: '返回付款',
    verdicts: {
      right: (n, m) => `已收到您的转账:${m} 次确认中的 ${n} 次。`,
      late: '您的转账在时间结束后才到。已通知商店,请勿再次付款。',
      too_little: '您的转账已到,但金额不足。付款页面会显示还差多少。',
      unmined: '网络已知道您的交易,但尚未确认。它会自动显示。',
      another_token: '您转来的是另一种代币。已通知商店,请勿再次付款。',
      another_network: (network) => `您的转账到了另一个网络:${network}。已通知商店,请勿再次付款。`,
      another_recipient: '此交易不是付给本次付款的地址。',
      failed: '此交易失败:网络没有转移任何资金。',
      before: '此交易早于本次付款,不属于它。',
      not_found: '还没有网络知道此交易。',
    },
    requote: {
      button: '获取新价格',
      text: '仅在您尚未付款时使用:同一订单,按现在的价格。',
      refused: { title: '没有新价格', text: '请联系商店,或在那里重新开始。' },
    },
  },
  es: {
    title: 'He pagado, pero no aparece',
    label: 'El hash de su transacción o su enlace en un explorador de bloques',
    button: 'Buscar',
    notOne:
      'Eso no es el hash de una transacción. Tiene 64 caracteres de 0 a 9 y de a a f; su monedero o su exchange lo muestra.',
    tooSoon: (seconds) => `Acabamos de buscar. Inténtelo de nuevo en ${seconds} s.`,
    again: (seconds) => `Puede buscar de nuevo en ${seconds} s.`,
    back: 'Volver al pago',
    verdicts: {
      right: (n, m) => `Tenemos su transferencia: ${n} de ${m} confirmaciones.`,
      late: 'Su transferencia llegó fuera de plazo. La tienda está avisada; no pague de nuevo.',
      too_little: 'Su transferencia llegó, y es demasiado poco. La página del pago muestra lo que falta.',
      unmined: 'La red conoce su transacción, pero aún no la ha confirmado. Aparecerá sola.',
      another_token: 'Su transferencia llegó en otro token. La tienda está avisada; no pague de nuevo.',
      another_network: (network) =>
        `Su transferencia llegó por otra red: ${network}. La tienda está avisada; no pague de nuevo.`,
      another_recipient: 'Esta transacción no paga a la dirección de este pago.',
      failed: 'Esta transacción falló: la red no movió dinero.',
      before: 'Esta transacción es anterior a este pago y no le pertenece.',
      not_found: 'Ninguna red conoce todavía esta transacción.',
    },
    requote: {
      button: 'Obtener un precio nuevo',
      text: 'Solo si aún no ha pagado: el mismo pedido al precio de ahora.',
      refused: { title: 'No hay precio nuevo', text: 'Contacte con la tienda o empiece allí de nuevo.' },
    },
  },
  'pt-BR': {
    title: 'Paguei, mas não aparece',
    label: 'O hash da sua transação ou o link dela em um explorador de blocos',
    button: 'Procurar',
    notOne:
      'Isso não é o hash de uma transação. Ele tem 64 caracteres de 0 a 9 e de a a f; sua carteira ou corretora o mostra.',
    tooSoon: (seconds) => `Acabamos de procurar. Tente de novo em ${seconds} s.`,
    again: (seconds) => `Você pode procurar de novo em ${seconds} s.`,
    back: 'Voltar ao pagamento',
    verdicts: {
      right: (n, m) => `Temos sua transferência: ${n} de ${m} confirmações.`,
      late: 'Sua transferência chegou depois do prazo. A loja foi avisada; não pague de novo.',
      too_little: 'Sua transferência chegou, e é pouco. A página do pagamento mostra o que falta.',
      unmined: 'A rede conhece sua transação, mas ainda não a confirmou. Ela aparecerá sozinha.',
      another_token: 'Sua transferência chegou em outro token. A loja foi avisada; não pague de novo.',
      another_network: (network) =>
        `Sua transferência chegou em outra rede: ${network}. A loja foi avisada; não pague de novo.`,
      another_recipient: 'Esta transação não paga o endereço deste pagamento.',
      failed: 'Esta transação falhou: a rede não moveu dinheiro.',
      before: 'Esta transação é anterior a este pagamento e não pertence a ele.',
      not_found: 'Nenhuma rede conhece esta transação ainda.',
    },
    requote: {
      button: 'Obter um novo preço',
      text: 'Só se você ainda não pagou: o mesmo pedido pelo preço de agora.',
      refused: { title: 'Não há novo preço', text: 'Fale com a loja ou comece de novo nela.' },
    },
  },
  fr: {
    title: 'J’ai payé, mais rien ne s’affiche',
    label: 'Le hash de votre transaction, ou son lien dans un explorateur de blocs',
    button: 'Chercher',
    notOne:
      'Ce n’est pas le hash d’une transaction. Il a 64 caractères de 0 à 9 et de a à f ; votre portefeuille ou votre plateforme l’affiche.',
    tooSoon: (seconds) => `Nous venons de chercher. Réessayez dans ${seconds} s.`,
    again: (seconds) => `Vous pouvez chercher de nouveau dans ${seconds} s.`,
    back: 'Revenir au paiement',
    verdicts: {
      right: (n, m) => `Nous avons votre transfert. Confirmations : ${n} sur ${m}.`,
      late: 'Votre transfert est arrivé après le délai. La boutique est prévenue ; ne payez pas de nouveau.',
      too_little:
        'Votre transfert est arrivé, et il est insuffisant. La page du paiement montre ce qui manque.',
      unmined:
        'Le réseau connaît votre transaction, mais ne l’a pas encore confirmée. Elle s’affichera d’elle-même.',
      another_token:
        'Votre transfert est arrivé dans un autre jeton. La boutique est prévenue ; ne payez pas de nouveau.',
      another_network: (network) =>
        `Votre transfert est arrivé sur un autre réseau : ${network}. La boutique est prévenue ; ne payez pas de nouveau.`,
      another_recipient: 'Cette transaction ne paie pas l’adresse de ce paiement.',
      failed: 'Cette transaction a échoué : le réseau n’a déplacé aucun argent.',
      before: 'Cette transaction est antérieure à ce paiement et ne lui appartient pas.',
      not_found: 'Aucun réseau ne connaît encore cette transaction.',
    },
    requote: {
      button: 'Obtenir un nouveau prix',
      text: 'Seulement si vous n’avez pas encore payé : la même commande au prix actuel.',
      refused: {
        title: 'Il n’y a pas de nouveau prix',
        text: 'Contactez la boutique ou recommencez là-bas.',
      },
    },
  },
  ht: {
    title: 'Mwen peye, men li pa parèt',
    label: 'Hash tranzaksyon w lan, oswa lyen l nan yon eksploratè blòk',
    button: 'Chache l',
    notOne:
      'Sa se pa hash yon tranzaksyon. Li gen 64 karaktè ant 0 ak 9 epi ant a ak f; bous ou oswa echanj ou montre l.',
    tooSoon: (seconds) => `Nou fèk chache. Eseye ankò nan ${seconds} s.`,
    again: (seconds) => `Ou ka chache ankò nan ${seconds} s.`,
    back: 'Tounen nan peman an',
    verdicts: {
      right: (n, m) => `Nou gen transfè w la: ${n} konfimasyon sou ${m}.`,
      late: 'Transfè w la rive apre tan an fini. Magazen an okouran; pa peye ankò.',
      too_little: 'Transfè w la rive, men li pa ase. Paj peman an montre sa k manke.',
      unmined: 'Rezo a konnen tranzaksyon w lan, men li poko konfime l. L ap parèt pou kont li.',
      another_token: 'Transfè w la rive nan yon lòt jeton. Magazen an okouran; pa peye ankò.',
      another_network: (network) =>
        `Transfè w la rive sou yon lòt rezo: ${network}. Magazen an okouran; pa peye ankò.`,
      another_recipient: 'Tranzaksyon sa a pa peye adrès peman sa a.',
      failed: 'Tranzaksyon sa a echwe: rezo a pa deplase okenn lajan.',
      before: 'Tranzaksyon sa a pi ansyen pase peman sa a, li pa pou li.',
      not_found: 'Pa gen okenn rezo ki konnen tranzaksyon sa a ankò.',
    },
    requote: {
      button: 'Jwenn yon nouvo pri',
      text: 'Sèlman si w poko peye: menm kòmand lan ak pri kounye a.',
      refused: { title: 'Pa gen nouvo pri', text: 'Kontakte magazen an, oswa rekòmanse la.' },
    },
  },
  ru: {
    title: 'Я заплатил, но этого не видно',
    label: 'Хеш вашей транзакции или ссылка на неё в обозревателе блоков',
    button: 'Найти',
    notOne:
      'Это не хеш транзакции. В нём 64 знака от 0 до 9 и от a до f; его показывает ваш кошелёк или биржа.',
    tooSoon: (seconds) => `Мы только что искали. Попробуйте через ${seconds} с.`,
    again: (seconds) => `Искать снова можно через ${seconds} с.`,
    back: 'Назад к платежу',
    verdicts: {
      right: (n, m) => `Ваш перевод у нас: подтверждений ${n} из ${m}.`,
      late: 'Ваш перевод пришёл, когда время уже вышло. Магазин извещён; не платите ещё раз.',
      too_little: 'Ваш перевод пришёл, но суммы не хватает. Сколько недостаёт, видно на странице платежа.',
      unmined: 'Сеть знает вашу транзакцию, но ещё не подтвердила её. Она появится сама.',
      another_token: 'Ваш перевод пришёл в другом токене. Магазин извещён; не платите ещё раз.',
      another_network: (network) =>
        `Ваш перевод пришёл в другой сети: ${network}. Магазин извещён; не платите ещё раз.`,
      another_recipient: 'Эта транзакция платит не на адрес этого платежа.',
      failed: 'Эта транзакция не удалась: сеть не перевела деньги.',
      before: 'Эта транзакция старше этого платежа и к нему не относится.',
      not_found: 'Ни одна сеть пока не знает этой транзакции.',
    },
    requote: {
      button: 'Получить новую цену',
      text: 'Только если вы ещё не платили: тот же заказ по нынешней цене.',
      refused: { title: 'Новой цены нет', text: 'Свяжитесь с магазином или начните там заново.' },
    },
  },
  tr: {
    title: 'Ödedim ama görünmüyor',
    label: 'İşleminizin hash’i ya da blok gezginindeki bağlantısı',
    button: 'Ara',
    notOne:
      'Bu bir işlem hash’i değil. 0-9 ve a-f arasında 64 karakterdir; cüzdanınız ya da borsanız gösterir.',
    tooSoon: (seconds) => `Az önce baktık. ${seconds} sn sonra yeniden deneyin.`,
    again: (seconds) => `${seconds} sn sonra yeniden arayabilirsiniz.`,
    back: 'Ödemeye dön',
    verdicts: {
      right: (n, m) => `Transferiniz bizde: ${m} onaydan ${n} tanesi tamam.`,
      late: 'Transferiniz süre bittikten sonra geldi. Mağazaya bildirildi; yeniden ödemeyin.',
      too_little: 'Transferiniz geldi ama eksik. Ne kadar eksik olduğunu ödeme sayfası gösterir.',
      unmined: 'Ağ işleminizi biliyor ama henüz onaylamadı. Kendiliğinden görünecek.',
      another_token: 'Transferiniz başka bir token ile geldi. Mağazaya bildirildi; yeniden ödemeyin.',
      another_network: (network) =>
        `Transferiniz başka bir ağda geldi: ${network}. Mağazaya bildirildi; yeniden ödemeyin.`,
      another_recipient: 'Bu işlem bu ödemenin adresine ödeme yapmıyor.',
      failed: 'Bu işlem başarısız oldu: ağ para aktarmadı.',
      before: 'Bu işlem bu ödemeden daha eski ve ona ait değil.',
      not_found: 'Bu işlemi henüz hiçbir ağ bilmiyor.',
    },
    requote: {
      button: 'Yeni fiyat al',
      text: 'Yalnızca henüz ödemediyseniz: aynı sipariş, şimdiki fiyatla.',
      refused: { title: 'Yeni fiyat yok', text: 'Mağazayla iletişime geçin ya da orada yeniden başlayın.' },
    },
  },
  vi: {
    title: 'Tôi đã trả nhưng không thấy hiển thị',
    label: 'Mã băm giao dịch của bạn, hoặc liên kết của nó trên trình khám phá khối',
    button: 'Tìm',
    notOne:
      'Đó không phải mã băm giao dịch. Nó có 64 ký tự từ 0 đến 9 và a đến f; ví hoặc sàn của bạn hiển thị nó.',
    tooSoon: (seconds) => `Chúng tôi vừa tìm. Hãy thử lại sau ${seconds} giây.`,
    again: (seconds) => `Bạn có thể tìm lại sau ${seconds} giây.`,
    back: 'Quay lại thanh toán',
    verdicts: {
      right: (n, m) => `Chúng tôi đã có giao dịch của bạn: ${n} trên ${m} xác nhận.`,
      late: 'Tiền của bạn đến khi đã hết thời gian. Cửa hàng đã được báo; đừng trả lần nữa.',
      too_little: 'Tiền của bạn đã đến nhưng còn thiếu. Trang thanh toán cho biết thiếu bao nhiêu.',
      unmined: 'Mạng đã biết giao dịch của bạn nhưng chưa xác nhận. Nó sẽ tự hiển thị.',
      another_token: 'Tiền của bạn đến bằng token khác. Cửa hàng đã được báo; đừng trả lần nữa.',
      another_network: (network) =>
        `Tiền của bạn đến trên mạng khác: ${network}. Cửa hàng đã được báo; đừng trả lần nữa.`,
      another_recipient: 'Giao dịch này không trả vào địa chỉ của thanh toán này.',
      failed: 'Giao dịch này thất bại: mạng không chuyển khoản tiền nào.',
      before: 'Giao dịch này cũ hơn thanh toán này và không thuộc về nó.',
      not_found: 'Chưa có mạng nào biết giao dịch này.',
    },
    requote: {
      button: 'Lấy giá mới',
      text: 'Chỉ khi bạn chưa trả: cùng đơn hàng với giá hiện tại.',
      refused: { title: 'Không có giá mới', text: 'Hãy liên hệ cửa hàng hoặc bắt đầu lại ở đó.' },
    },
  },
  id: {
    title: 'Saya sudah bayar, tetapi tidak muncul',
    label: 'Hash transaksi Anda, atau tautannya di penjelajah blok',
    button: 'Cari',
    notOne:
      'Itu bukan hash transaksi. Isinya 64 karakter dari 0 sampai 9 dan a sampai f; dompet atau bursa Anda menampilkannya.',
    tooSoon: (seconds) => `Kami baru saja mencari. Coba lagi dalam ${seconds} detik.`,
    again: (seconds) => `Anda dapat mencari lagi dalam ${seconds} detik.`,
    back: 'Kembali ke pembayaran',
    verdicts: {
      right: (n, m) => `Transfer Anda sudah kami terima: ${n} dari ${m} konfirmasi.`,
      late: 'Transfer Anda tiba setelah waktunya habis. Toko sudah diberi tahu; jangan membayar lagi.',
      too_little: 'Transfer Anda tiba, tetapi kurang. Halaman pembayaran menunjukkan kekurangannya.',
      unmined: 'Jaringan mengetahui transaksi Anda, tetapi belum mengonfirmasinya. Nanti muncul sendiri.',
      another_token: 'Transfer Anda tiba dalam token lain. Toko sudah diberi tahu; jangan membayar lagi.',
      another_network: (network) =>
        `Transfer Anda tiba di jaringan lain: ${network}. Toko sudah diberi tahu; jangan membayar lagi.`,
      another_recipient: 'Transaksi ini tidak membayar ke alamat pembayaran ini.',
      failed: 'Transaksi ini gagal: jaringan tidak memindahkan uang.',
      before: 'Transaksi ini lebih lama dari pembayaran ini, dan bukan miliknya.',
      not_found: 'Belum ada jaringan yang mengetahui transaksi ini.',
    },
    requote: {
      button: 'Dapatkan harga baru',
      text: 'Hanya jika Anda belum membayar: pesanan yang sama dengan harga sekarang.',
      refused: { title: 'Tidak ada harga baru', text: 'Hubungi toko, atau mulai lagi di sana.' },
    },
  },
  ar: {
    title: 'دفعت ولكن لا يظهر ذلك',
    label: 'رمز معاملتك (hash) أو رابطها في مستكشف الكتل',
    button: 'ابحث',
    notOne: 'هذا ليس رمز معاملة. يتكوّن من 64 حرفاً من 0 إلى 9 ومن a إلى f، وتعرضه محفظتك أو منصتك.',
    tooSoon: (seconds) => `بحثنا قبل لحظة. حاول مرة أخرى بعد ${seconds} ثانية.`,
    again: (seconds) => `يمكنك البحث مرة أخرى بعد ${seconds} ثانية.`,
    back: 'العودة إلى الدفع',
    verdicts: {
      right: (n, m) => `وصلنا تحويلك: ${n} من ${m} تأكيداً.`,
      late: 'وصل تحويلك بعد انتهاء الوقت. أُبلغ المتجر؛ لا تدفع مرة أخرى.',
      too_little: 'وصل تحويلك وهو أقل من المطلوب. تعرض صفحة الدفع ما ينقص.',
      unmined: 'الشبكة تعرف معاملتك لكنها لم تؤكدها بعد. ستظهر من تلقاء نفسها.',
      another_token: 'وصل تحويلك بعملة أخرى. أُبلغ المتجر؛ لا تدفع مرة أخرى.',
      another_network: (network) => `وصل تحويلك على شبكة أخرى: ${network}. أُبلغ المتجر؛ لا تدفع مرة أخرى.`,
      another_recipient: 'هذه المعاملة لا تدفع إلى عنوان هذا الدفع.',
      failed: 'فشلت هذه المعاملة: لم تنقل الشبكة أي مال.',
      before: 'هذه المعاملة أقدم من هذا الدفع ولا تخصه.',
      not_found: 'لا تعرف أي شبكة هذه المعاملة بعد.',
    },
    requote: {
      button: 'احصل على سعر جديد',
      text: 'فقط إذا لم تدفع بعد: الطلب نفسه بسعر الآن.',
      refused: { title: 'لا يوجد سعر جديد', text: 'تواصل مع المتجر أو ابدأ هناك من جديد.' },
    },
  },
};
