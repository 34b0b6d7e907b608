package com.example.exp;

import org.springframework.kafka.annotation.KafkaListener;
import org.springframework.stereotype.Component;

@Component
public class ExpListener {
    private final UserRepository users;

    public ExpListener(UserRepository users) {
        this.users = users;
    }

    @KafkaListener(topics = "exp-topic", groupId = "exp-group", concurrency = "3")
    public void gained(ExpEvent event) {
        users.addExp(event.userId(), event.exp());
    }
}
