<?php
// SPDX-License-Identifier: Apache-2.0
// Under PHP-FPM, mod_php or CGI: shows the cart; a POST puts an apple in.
$cart = json_decode($_SERVER['DJANGO_SESSION_CART'] ?? '{}', true);
if ($_SERVER['REQUEST_METHOD'] === 'POST') {
    $cart['apples'] = ($cart['apples'] ?? 0) + 1;
    header('Django-Session-Update: ' . json_encode(['set' => ['cart' => $cart]]));
}
header('Content-Type: text/plain; charset=utf-8');
foreach ($cart as $item => $number) {
    echo "$item: $number\n";
}
